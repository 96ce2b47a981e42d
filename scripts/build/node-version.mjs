// Import this first, and everything newer with import(): a too old Node.js must meet a sentence, not a syntax error.
// For the same reason nothing here is newer than ES modules themselves.
const OLDEST = [20, 19]
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  process.stderr.write(
    `kvorum: Node.js ${process.versions.node} is too old; install Node.js ${OLDEST.join('.')} or newer\n`,
  )
  process.exit(1)
}
