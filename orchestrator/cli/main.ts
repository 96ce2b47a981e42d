import { coloursFor } from '../telemetry/index.js'
import { runCommand } from './program.js'
import { version } from './version.js'

// Whoever reads has seen enough, as `head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

process.exitCode = await runCommand(process.argv.slice(2), process.env, {
  out: (text) => process.stdout.write(text),
  warn: (text) => process.stderr.write(text),
  colours: coloursFor(process.stdout, process.env),
  redraws: process.stdout.isTTY === true,
  columns: process.stderr.isTTY ? process.stderr.columns : 0,
  version: version(),
})
