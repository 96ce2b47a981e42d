// Scan and Count of kvorum.v1.KV: pieces of the whole store, each call by itself.
import { DEADLINE_MS_MAX } from '../core/limits.js'
import { behindCursor, type Range, type RangeStore, rangeOf, SCAN_BYTES, SCAN_ENTRIES_MAX } from '../core/range.js'
import { invalidArgument, UnsupportedError } from '../errors/index.js'
import type { CallInfo, KvHandlers } from '../wire/services.js'
import type { GatewayContext } from './context.js'
import { overloaded } from './work.js'

/** What a count holds is little; it has the nodes look at every key all the same, so that there are few at once. */
const COUNT_BYTES = SCAN_BYTES / 4

export function rangeHandlers(context: GatewayContext): Pick<KvHandlers, 'scan' | 'count'> {
  return {
    scan: ({ prefix, from, to, reverse, keysOnly, limit, cursor }, call) =>
      held(context, SCAN_BYTES, call, async (store, options) => {
        if (limit > SCAN_ENTRIES_MAX) throw invalidArgument(`the limit is at most ${SCAN_ENTRIES_MAX}`)
        const whole = rangeOf(prefix, from, to)
        const range = cursor.length === 0 ? whole : understood(() => behindCursor(whole, reverse, cursor))
        const page = await store.scan({ range, reverse, keysOnly }, limit || SCAN_ENTRIES_MAX, options)
        return { entries: [...page.entries], cursor: page.cursor ?? new Uint8Array() }
      }),
    count: ({ prefix, from, to }, call) =>
      held(context, COUNT_BYTES, call, async (store, options) => {
        return { count: BigInt(await store.count(rangeOf(prefix, from, to), options)) }
      }),
  }
}

type Work<T> = (store: RangeStore, options: { deadlineMs: number; signal: AbortSignal }) => Promise<T>

/** Takes room for the answer first, and gives it back when there is one. */
async function held<T>(
  context: GatewayContext,
  bytes: number,
  { deadlineMs, signal }: CallInfo,
  work: Work<T>,
): Promise<T> {
  const { ranges, values, readers, limits } = context
  if (ranges === undefined) throw new UnsupportedError('no ranges are served here', { outcome: 'not-applied' })
  const full = context.full()
  if (full !== undefined) throw full
  if (!values.take(bytes)) {
    readers.shed()
    throw overloaded('the gateway holds as many bytes as it may')
  }
  try {
    return await work(ranges, { deadlineMs: Math.min(deadlineMs ?? limits.deadlineMs, DEADLINE_MS_MAX), signal })
  } finally {
    values.give(bytes)
  }
}

function understood(make: () => Range): Range {
  try {
    return make()
  } catch (cause) {
    throw invalidArgument((cause as TypeError).message, cause)
  }
}
