import { coloursFor } from '../telemetry/index.js'
import { runCommand } from './program.js'
import { version } from './version.js'

process.exitCode = await runCommand(process.argv.slice(2), process.env, {
  out: (text) => process.stdout.write(text),
  warn: (text) => process.stderr.write(text),
  colours: coloursFor(process.stdout, process.env),
  redraws: process.stdout.isTTY === true,
  columns: process.stderr.isTTY ? process.stderr.columns : 0,
  version: version(),
})
