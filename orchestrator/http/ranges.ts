// Keys of a range: in their order, or how many there are.

import { bytesInJson } from '../core/bytes-json.js'
import { opaqueFromText, opaqueToText } from '../core/opaque.js'
import type { Entry } from '../core/operation.js'
import { behindCursor, isReverse, type Range, rangeOf, SCAN_ENTRIES_MAX } from '../core/range.js'
import { type Answer, json } from './answer.js'
import { type Route, route } from './route.js'
import { Counted, CountQuery, Scanned, ScanQuery } from './schemas.js'

const FRESH = { 'Cache-Control': 'no-cache' }

const scan = route({
  id: 'scan',
  method: 'GET',
  paths: ['/v1/keys'],
  summary: 'Keys of the whole store in their order, a piece at a time: about a MiB, or as many as the limit says.',
  query: ScanQuery,
  asks: 'store',
  writes: false,
  answers: { 200: { description: 'A piece of them.', schema: Scanned } },
  handle: async ({ query, signal, hold }, { operations }): Promise<Answer> => {
    const cursor = query.cursor === undefined ? undefined : opaqueFromText(query.cursor)
    // Its direction is that of the scan; the pattern lets nothing through that has none.
    const reverse = cursor === undefined ? query.reverse === true : isReverse(cursor) === true
    const range = cursor === undefined ? rangeOfQuery(query) : behindCursor(rangeOfQuery(query), reverse, cursor)
    const keysOnly = query.keys_only === true
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const page = await operations.scan({ range, reverse, keysOnly }, query.limit ?? SCAN_ENTRIES_MAX, asking)
    const entries = page.entries.map((entry) => inJson(entry, keysOnly))
    if (page.cursor === undefined) return json(200, { entries }, FRESH)
    return json(200, { entries, cursor: opaqueToText(page.cursor) }, FRESH)
  },
})

const count = route({
  id: 'count',
  method: 'GET',
  paths: ['/v1/count'],
  summary: 'How many keys there are. Each that is there during the whole request is counted once.',
  query: CountQuery,
  asks: 'store',
  writes: false,
  answers: { 200: { description: 'So many.', schema: Counted } },
  handle: async ({ query, signal, hold }, { operations }): Promise<Answer> => {
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    return json(200, { count: await operations.count(rangeOfQuery(query), asking) }, FRESH)
  },
})

export const RANGE_ROUTES: readonly Route[] = [scan, count]

function inJson({ key, value, version }: Entry, keysOnly: boolean) {
  const about = { key: bytesInJson(key), version: String(version) }
  return keysOnly ? about : { ...about, value: bytesInJson(value) }
}

interface Bounds {
  readonly prefix?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

function rangeOfQuery({ prefix = '', from = '', to = '' }: Bounds): Range {
  return rangeOf(Buffer.from(prefix), Buffer.from(from), Buffer.from(to))
}
