import type { Entry } from '../../core/operation.js'
import { cursorAt, type Range, type RangeOptions, SCAN_BYTES, type ScanPage, type ScanQuery } from '../../core/range.js'
import { CancelledError } from '../../errors/index.js'
import { countKeys } from './count.js'
import { Merge } from './merge.js'
import type { PageSource } from './pages.js'

/**
 * Keys of the whole store in their order, in runs. Each key that is there during the whole scan is given once, whatever
 * moves meanwhile; what is written meanwhile may be given. `deadlineMs` is how long each run may take. Whoever stops leaves
 * nothing behind.
 */
export async function* scanRuns(
  from: PageSource,
  query: ScanQuery,
  limit: number,
  { deadlineMs, signal }: RangeOptions,
): AsyncGenerator<readonly Entry[]> {
  const over = new AbortController()
  const giveUp = () => over.abort(signal?.reason)
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    const merge = new Merge({
      from,
      query,
      limit,
      bytesMax: SCAN_BYTES,
      ahead: true,
      signal: over.signal,
      deadlineMs,
    })
    for (;;) {
      if (signal?.aborted)
        throw new CancelledError('the scan was cancelled by the caller', {
          outcome: 'not-applied',
          cause: signal.reason,
        })
      const run = await merge.next({ until: from.clock.monotonic() + deadlineMs, signal: over.signal })
      if (run.length === 0) return
      yield run
    }
  } finally {
    signal?.removeEventListener('abort', giveUp)
    over.abort()
  }
}

/** See RangeStore. */
export async function scanPage(
  from: PageSource,
  query: ScanQuery,
  limit: number,
  { deadlineMs, signal = new AbortController().signal }: RangeOptions,
): Promise<ScanPage> {
  const until = from.clock.monotonic() + deadlineMs
  const merge = new Merge({ from, query, limit, bytesMax: SCAN_BYTES, ahead: false, signal, deadlineMs })
  const entries: Entry[] = []
  let bytes = 0
  for (;;) {
    const run = await merge.next({ until, signal })
    if (run.length === 0) return { entries, cursor: entries.length < limit ? undefined : cursorBehind(entries, query) }
    for (const entry of run) {
      bytes += entry.key.length + entry.value.length
      if (bytes > SCAN_BYTES && entries.length > 0) return { entries, cursor: cursorBehind(entries, query) }
      entries.push(entry)
    }
  }
}

function cursorBehind(entries: readonly Entry[], { reverse }: ScanQuery): Uint8Array | undefined {
  const last = entries.at(-1)
  return last && cursorAt(last.key, reverse)
}

/** How many keys a range has. */
export function countRange(from: PageSource, range: Range, { deadlineMs, signal }: RangeOptions): Promise<number> {
  const until = from.clock.monotonic() + deadlineMs
  return countKeys(from, range, { until, signal: signal ?? new AbortController().signal })
}
