import { printableKey } from '../../core/text.js'
import type { Context } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { counted } from '../words.js'
import { rateOf } from './bulk-progress.js'
import { STANDARD } from './format.js'
import { type Done, type Failure, OF_THE_ROW, rowsOf } from './put-rows.js'
import type { BadLine } from './read-rows.js'

const MEND = 'mend it, or add --skip-bad'

/** How an import has ended. */
export interface Ending {
  readonly done: Done
  /** All before the end of this line is done. */
  readonly lines: number
  readonly failure: Failure | undefined
  /** A line that is no row, and was not to be skipped. */
  readonly stoppedAt: BadLine | undefined
  readonly complete: boolean
}

interface Telling {
  readonly json: boolean
  readonly seconds: number
  /** By an earlier command. */
  readonly before: Done
}

/** Tells how it ended, and how to go on. Gives the exit code. */
export function tellImport(
  file: string,
  ending: Ending,
  { json, seconds, before }: Telling,
  { out, warn }: Context,
): number {
  const { done, lines, complete } = ending
  const error = errorOf(ending)
  if (json) {
    const known = { ...done, lines, seconds: Math.round(seconds * 1_000) / 1_000 }
    out(`${JSON.stringify(error === undefined ? { ok: complete, ...known } : { ok: false, ...known, error })}\n`)
  }
  if (complete) {
    const rate = rateOf(rowsOf(done) - rowsOf(before), seconds)
    if (!json) out(`imported ${counted(done.put, 'row')}${besides(done)} in ${seconds.toFixed(1)} s (${rate})\n`)
    return done.skipped > 0 ? EXIT.skipped : EXIT.ok
  }
  const imported = lines === 1 ? 'line 1 is imported' : `lines 1 to ${lines} are imported`
  const goOn =
    lines === 0
      ? 'nothing before it is known to be imported: give the same command again'
      : file === STANDARD
        ? `${imported}: give it again from line ${lines + 1} on`
        : `${imported}, and the same command goes on behind ${lines === 1 ? 'it' : 'them'}`
  warn(`kvorum: ${error === undefined ? 'interrupted' : `${file}, line ${error.line}: ${error.message}`}; ${goOn}\n`)
  return EXIT.failed
}

function besides({ present, skipped }: Done): string {
  const there = present === 0 ? '' : `, ${counted(present, 'key')} ${present === 1 ? 'was' : 'were'} there already`
  return `${there}${skipped === 0 ? '' : `, ${counted(skipped, 'line')} ${skipped === 1 ? 'was' : 'were'} skipped`}`
}

function errorOf({ failure, stoppedAt }: Ending) {
  if (failure !== undefined) {
    const { row, error } = failure
    const { code, outcome } = error
    const doubt = outcome === 'not-applied' ? '' : '; it may have been put all the same'
    const what = outcome === 'not-applied' ? 'was not put' : 'failed'
    const advice = OF_THE_ROW.has(code) ? `: ${MEND}` : doubt
    const message = `the key ${printableKey(row.key)} ${what}: ${error.message} (${code}, ${outcome})${advice}`
    return { code, outcome, line: row.line, message }
  }
  if (stoppedAt === undefined) return undefined
  const message = `${stoppedAt.why}: ${MEND}`
  return { code: 'INVALID_ARGUMENT', outcome: 'not-applied', line: stoppedAt.line, message }
}
