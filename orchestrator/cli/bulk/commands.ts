import { Option } from 'commander'
import type { RangeChoice } from '../../client/index.js'
import type { Context } from '../context.js'
import type { Flags, MakeCommand, Perform } from '../program.js'
import { exportRows } from './export.js'
import { FORMATS, type FormatName } from './format.js'
import { importRows } from './import.js'

interface ImportFlags extends Flags {
  readonly format?: FormatName
  readonly ifAbsent?: boolean
  readonly skipBad?: boolean
  readonly badTo?: string
  readonly state?: string
}

interface ExportFlags extends Flags, RangeChoice {
  readonly format?: FormatName
  readonly versions?: boolean
  readonly ttls?: boolean
}

/** How long a row may take, unless --timeout says otherwise: what lasts for minutes is not to end with an election. */
const PATIENCE_MS = 60_000

const ROWS = `
JSONL: {"key": "user:1", "value": "Ada", "ttlMs": 60000} a line, ttlMs (from then on) only where the key is to go again.
CSV:   a header with key and value, and ttlMs if any row has one.
Bytes that are no UTF-8 are in base64, in keyBase64 and valueBase64. A version is told by an export, and passed over by an import.`

const IMPORT_HELP = `${ROWS}
Rows of one key are put in their order. Interrupted or killed, the same command goes on where all before it was acknowledged, which
stands in <file>.kvorum-import; stdin cannot be gone on with. --timeout is how long a row may take (default: 60000).`

const EXPORT_HELP = `${ROWS}
In the order of the keys; it is no snapshot, as scan is none. The file is there when it is whole; interrupted or killed, the same command
goes on with <file>.kvorum-part. --timeout is how long a step may take (default: 60000).`

const format = (about: string) => new Option('--format <name>', about).choices(FORMATS)

export function addBulk(command: MakeCommand, perform: Perform, context: Context): void {
  command('import <file>', 'put the rows of a file, JSONL or CSV, or of stdin (-)')
    .addOption(format('default: what the name of the file says, and jsonl on stdin'))
    .option('--if-absent', 'leave keys as they are that are there already')
    .option('--skip-bad', 'go on behind lines that are no rows, and tell them on stderr')
    .option('--bad-to <file>', 'with --skip-bad: add them to this file instead, as JSON')
    .option('--state <file>', 'where it is kept how far it is (default: <file>.kvorum-import)')
    .addHelpText('after', IMPORT_HELP)
    .action((file: string, { json, ifAbsent = false, skipBad = false, format, badTo, state }: ImportFlags) => {
      const task = { file, format, ifAbsent, skipBad, badTo, state }
      return perform({ name: 'import', json, writes: true, patienceMs: PATIENCE_MS }, (form, to) =>
        importRows(task, form, to, context),
      )
    })
  command('export <file>', 'write keys and values to a file, as JSONL or CSV, or to stdout (-)')
    .addOption(format('default: what the name of the file says, and jsonl on stdout'))
    .option('--prefix <text>', 'only keys that begin so')
    .option('--from <key>', 'the first key that may be there')
    .option('--to <key>', 'the key before which it ends')
    .option('--versions', "with each key's version")
    .option('--ttls', 'with what is left of the time that a key lives, in ms; asks for each key')
    .addHelpText('after', EXPORT_HELP)
    .action((file: string, { json, format, versions = false, ttls = false, prefix, from, to: end }: ExportFlags) => {
      const task = { file, format, range: { prefix, from, to: end }, extras: { versions, ttls } }
      return perform({ name: 'export', json, patienceMs: PATIENCE_MS }, (form, to) =>
        exportRows(task, form, to, context),
      )
    })
}
