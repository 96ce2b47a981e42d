// House rules as a test. Prints every violation as `path:line: message` and ends with code 1 if there is one.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkTree } from './check.js'
import type { Ratchet } from './sizes.js'
import { readTree } from './source.js'

// Compiled to dist/scripts/tidy/main.js: the tree is three folders up from there.
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const ratchet = JSON.parse(readFileSync(join(root, 'scripts/tidy/ratchet.json'), 'utf8')) as Ratchet
const files = readTree(root)
const violations = checkTree(files, ratchet)
for (const found of violations) console.error(`${found.path}:${found.line}: ${found.message}`)
console.log(`tidy: ${files.length} files, ${violations.length} violations`)
process.exitCode = violations.length === 0 ? 0 : 1
