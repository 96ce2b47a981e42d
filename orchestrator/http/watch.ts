// What changes, as server-sent events.
import { z } from 'zod'
import { opaqueFromText } from '../core/opaque.js'
import { type Range, rangeOf } from '../core/range.js'
import { invalidArgument } from '../errors/index.js'
import { accepts } from './answer.js'
import { EVENT_STREAM, EventData } from './events.js'
import { checkKey } from './keys.js'
import { HttpRefusal } from './problem.js'
import { type Route, route } from './route.js'
import { bound } from './schemas.js'
import type { WatchQuestion } from './watches.js'

/** Of a token; what it says is looked at by whoever has made it. */
const TOKEN = /^[A-Za-z0-9_-]+$/

const WatchQuery = z.strictObject({
  prefix: bound('Only keys that begin so.'),
  start: bound('The first key that is watched.'),
  end: bound('The key before which they end.'),
  key: bound('This key alone.'),
  from: z
    .string()
    .regex(TOKEN, { error: 'must be the id of an event' })
    .optional()
    .meta({ description: 'The id of an event of a watch of the same keys: goes on after it. Default: from now on.' }),
})

const watch = route({
  id: 'watch',
  method: 'GET',
  paths: ['/v1/watch'],
  summary:
    'Every change of the keys, once and those of a key in their order, as server-sent events, until one of both sides ends it.',
  query: WatchQuery,
  headers: [
    {
      name: 'Last-Event-ID',
      description: 'Like `from`, which it is taken for: an EventSource sends it when it connects again.',
      pattern: TOKEN.source,
      example: 'AQIDBAUB',
    },
  ],
  asks: 'store',
  writes: false,
  answers: {
    200: {
      description: 'Events `change`, `progress` and `compacted`; comments between them.',
      schema: EventData,
      events: true,
    },
  },
  problems: { 406: 'The client does not take text/event-stream.' },
  handle: ({ query, headers, signal }, { operations, watches }) => {
    if (!accepts(EVENT_STREAM, headers.accept)) {
      throw new HttpRefusal(
        406,
        'NOT_ACCEPTABLE',
        `a watch is ${EVENT_STREAM}, and the client takes ${headers.accept} only`,
      )
    }
    if (query.key !== undefined) checkKey(Buffer.from(query.key), operations.limits)
    return watches.stream({ ...questionOf(query), token: tokenOf(query.from, headers['last-event-id']) }, signal)
  },
})

export const WATCH_ROUTES: readonly Route[] = [watch]

function questionOf({ key, prefix, start, end }: z.output<typeof WatchQuery>): Omit<WatchQuestion, 'token'> {
  if (key === undefined) {
    const [begin, from, to] = [Buffer.from(prefix ?? ''), Buffer.from(start ?? ''), Buffer.from(end ?? '')]
    const range = rangeOf(begin, from, to)
    const common = commonPrefix(from, to)
    return { watched: { prefix: common.length > begin.length ? common : begin }, wants: (one) => isIn(range, one) }
  }
  if (prefix !== undefined || start !== undefined || end !== undefined) {
    throw invalidArgument('a watch is of a key, or of a prefix and a range, not of both')
  }
  return { watched: { key: Buffer.from(key) }, wants: () => true }
}

/** Nodes know prefixes only; the rest of a range is looked at here. */
function isIn({ from, to }: Range, key: Uint8Array): boolean {
  return Buffer.compare(key, from) >= 0 && (to.length === 0 || Buffer.compare(key, to) < 0)
}

/** Every key between two keys begins as both of them do. */
function commonPrefix(one: Buffer, other: Buffer): Buffer {
  const differ = one.findIndex((byte, at) => byte !== other[at])
  return differ < 0 ? one : one.subarray(0, differ)
}

/** The newer of the two: the address of an EventSource stays the same when it connects again. */
function tokenOf(from: string | undefined, last: string | readonly string[] | undefined): Uint8Array | undefined {
  const text = last === undefined || last === '' ? from : String(last)
  if (text === undefined) return undefined
  if (!TOKEN.test(text)) throw invalidArgument('Last-Event-ID is not the id of an event')
  return opaqueFromText(text)
}
