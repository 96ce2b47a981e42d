// Writes that depend on the value itself.
import type { z } from 'zod'
import type { IncrementResult } from '../core/operation.js'
import { type Answer, json } from './answer.js'
import { bytesFrom } from './bytes.js'
import { etagOf, noCondition, noIdempotencyKey } from './conditions.js'
import { AROUND_BYTES, ESCAPED_BYTES_MAX, KEY } from './keys.js'
import { type Route, route } from './route.js'
import { CompareAndSet, Increment, Sum, WriteQuery, Written } from './schemas.js'

const compareAndSet = route({
  id: 'compareAndSet',
  method: 'POST',
  paths: [`${KEY}/compare-and-set`],
  summary: 'Gives a key a value if the present one is the expected one.',
  query: WriteQuery,
  body: {
    schema: CompareAndSet,
    // Together the two are at most what a value may be.
    bytesMax: ({ valueBytesMax }) => valueBytesMax * ESCAPED_BYTES_MAX + AROUND_BYTES,
    lax: false,
  },
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'It has the value.', schema: Written, etag: true } },
  problems: { 409: 'The present value is another one.' },
  handle: async ({ key, query, headers, body, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const { version } = await operations.run({ kind: 'compare-and-set', key, ...expectationOf(body) }, asking)
    return json(200, { version: String(version) }, { ETag: etagOf(version) })
  },
})

const increment = route({
  id: 'increment',
  method: 'POST',
  paths: [`${KEY}/increment`],
  summary: 'Adds to a value that is an int64 in decimal; a key without a value is 0. Not idempotent.',
  query: WriteQuery,
  body: { schema: Increment, bytesMax: () => AROUND_BYTES, lax: false },
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'It was added.', schema: Sum, etag: true } },
  problems: { 409: 'The value is no number, or the sum is no int64.' },
  handle: async ({ key, query, headers, body, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const result = await operations.run({ kind: 'increment', key, by: BigInt(body.by) }, asking)
    return json(200, sumOf(result), { ETag: etagOf(result.version) })
  },
})

export const COMPARE_ROUTES: readonly Route[] = [compareAndSet, increment]

export function expectationOf({ expected, value }: z.output<typeof CompareAndSet>) {
  return {
    expected: expected === null ? undefined : bytesFrom(expected, 'expected value'),
    value: bytesFrom(value, 'value'),
  }
}

export function sumOf({ value, version }: IncrementResult): z.output<typeof Sum> {
  return { value: String(value), version: String(version) }
}
