// How long keys live, apart from their values.
import { type Answer, json } from './answer.js'
import { noCondition, noIdempotencyKey } from './conditions.js'
import { AROUND_BYTES, KEY } from './keys.js'
import { HttpRefusal } from './problem.js'
import { type Route, route } from './route.js'
import { TimeToLive, Touch, Touched, WriteQuery } from './schemas.js'

const ttlOf = route({
  id: 'ttlOf',
  method: 'GET',
  paths: [`${KEY}/ttl`],
  summary: 'How long a key lives. Linearizable.',
  query: WriteQuery,
  asks: 'store',
  writes: false,
  answers: { 200: { description: 'How long.', schema: TimeToLive } },
  problems: { 404: 'The key has no value.' },
  handle: async ({ key, query, signal, hold }, { operations }): Promise<Answer> => {
    const { found, ttlMs } = await operations.run(
      { kind: 'ttl-of', key },
      { timeoutMs: query.timeout_ms, signal, hold },
    )
    if (!found) throw new HttpRefusal(404, 'KEY_ABSENT', 'the key has no value')
    return json(200, { ttl_ms: ttlMs ?? null }, { 'Cache-Control': 'no-store' })
  },
})

const touch = route({
  id: 'touch',
  method: 'POST',
  paths: [`${KEY}/touch`],
  summary: 'Has a key live for another time, or for ever. Its value and version stay.',
  query: WriteQuery,
  body: { schema: Touch, bytesMax: () => AROUND_BYTES, lax: false },
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'It was changed, if it was there.', schema: Touched } },
  handle: async ({ key, query, headers, body, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const { existed } = await operations.run({ kind: 'touch', key, ttlMs: body.ttl_ms ?? undefined }, asking)
    return json(200, { existed })
  },
})

export const TTL_ROUTES: readonly Route[] = [ttlOf, touch]
