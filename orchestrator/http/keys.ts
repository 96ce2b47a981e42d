import type { z } from 'zod'
import type { Limits } from '../core/limits.js'
import { invalidArgument, KvError } from '../errors/index.js'
import { type Answer, bytes, empty, json, prefersBytes } from './answer.js'
import { type BytesJson, bytesFrom } from './bytes.js'
import { conditionFailed, etagOf, noCondition, noIdempotencyKey, readCondition, writeCondition } from './conditions.js'
import { LEASE_GONE, livesBy } from './lease-schemas.js'
import { HttpRefusal } from './problem.js'
import { type BodyRule, type HeaderNote, type Route, route } from './route.js'
import {
  Appended,
  Deleted,
  Found,
  foundOf,
  PutQuery,
  previously,
  ReadQuery,
  Replaced,
  ReplaceQuery,
  Value,
  WriteQuery,
} from './schemas.js'

export const KEY = '/v1/keys/{key}'
/** The short form, which the simplest clients use. */
const SHORT = '/key/{key}'

const CACHED = { 'Cache-Control': 'no-cache', Vary: 'Accept' }

/** In JSON a byte of a text may take six: \u0000. */
export const ESCAPED_BYTES_MAX = 6
/** What is around the value. */
export const AROUND_BYTES = 1024

const VALUE_BODY: Omit<BodyRule<z.output<typeof Value> | { value: Buffer }>, 'lax'> = {
  schema: Value,
  bytesMax: ({ valueBytesMax }) => valueBytesMax * ESCAPED_BYTES_MAX + AROUND_BYTES,
  fromBytes: (value) => ({ value }),
}

const ONE_TAG = '^"[1-9][0-9]{0,18}"$'
const IF_MATCH: HeaderNote = {
  name: 'If-Match',
  description: 'Only if this is the ETag of the key now, else 412.',
  pattern: ONE_TAG,
  example: '"12"',
}
const IF_ABSENT: HeaderNote = {
  name: 'If-None-Match',
  description: 'Only *: only if the key is absent, else 412.',
  pattern: '^\\*$',
  example: '*',
}
const IF_NONE_MATCH: HeaderNote = {
  name: 'If-None-Match',
  description: '304 if this is the ETag of the key now.',
  pattern: ONE_TAG,
  example: '"12"',
}

const get = route({
  id: 'get',
  method: 'GET',
  paths: [KEY, SHORT],
  summary: 'The value of a key. Linearizable, unless stale_ms allows an older one.',
  query: ReadQuery,
  headers: [IF_NONE_MATCH],
  asks: 'store',
  writes: false,
  answers: {
    200: { description: 'The value.', schema: Found, bytes: true, etag: true },
    304: { description: 'The client has it already.' },
  },
  problems: { 404: 'The key has no value.', 412: 'If-Match does not hold.' },
  handle: async ({ key, query, headers, signal, hold }, { operations }): Promise<Answer> => {
    const hasAlready = readCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const found = await operations.run({ kind: 'get', key, staleMs: query.stale_ms }, asking)
    if (!found.found) throw new HttpRefusal(404, 'KEY_ABSENT', 'the key has no value')
    const about = { ...CACHED, ETag: etagOf(found.version) }
    if (hasAlready(found.version)) return empty(304, about)
    if (prefersBytes(headers.accept)) return bytes(200, found.value, about)
    return json(200, foundOf(found), about)
  },
})

const put = route({
  id: 'put',
  method: 'PUT',
  paths: [KEY, SHORT],
  summary: 'Gives a key a value, for a time or for ever.',
  query: PutQuery,
  headers: [IF_MATCH, IF_ABSENT],
  body: { ...VALUE_BODY, lax: true },
  asks: 'store',
  writes: true,
  answers: {
    200: { description: 'It has the value.', schema: Replaced, etag: true },
    201: { description: 'It has the value and had none: with If-None-Match.', schema: Replaced, etag: true },
  },
  problems: { 404: LEASE_GONE, 412: 'The condition does not hold.' },
  handle: async ({ key, query, headers, body, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    const ifVersion = writeCondition(headers)
    const returnPrevious = query.return_previous
    const value = bytesOf(body)
    const operation = { kind: 'put', key, value, ifVersion, returnPrevious, ...livesBy(query) } as const
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const { version, previous } = await conditional(() => operations.run(operation, asking), ifVersion)
    const answer = { version: String(version), ...previously(previous) }
    return json(ifVersion === 0n ? 201 : 200, answer, { ETag: etagOf(version) })
  },
})

const remove = route({
  id: 'delete',
  method: 'DELETE',
  paths: [KEY, SHORT],
  summary: 'Takes the value of a key away. A key that has none is no failure.',
  query: ReplaceQuery,
  headers: [IF_MATCH],
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'It has no value.', schema: Deleted } },
  problems: { 412: 'The condition does not hold.', 413: 'The value is too large to be returned.' },
  handle: async ({ key, query, headers, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    const ifVersion = writeCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const operation = { kind: 'delete', key, ifVersion, returnPrevious: query.return_previous } as const
    const { existed, previous } = await conditional(() => operations.run(operation, asking), ifVersion)
    return json(200, { existed, ...previously(previous) })
  },
})

const append = route({
  id: 'append',
  method: 'POST',
  paths: [`${KEY}/append`],
  summary: 'Adds to the end of the value; a key without a value is empty. Not idempotent.',
  query: WriteQuery,
  body: { ...VALUE_BODY, lax: false },
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'It was added.', schema: Appended, etag: true } },
  handle: async ({ key, query, headers, body, signal, hold }, { operations }): Promise<Answer> => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    const { version, length } = await operations.run({ kind: 'append', key, value: bytesOf(body) }, asking)
    return json(200, { version: String(version), length }, { ETag: etagOf(version) })
  },
})

export const KEY_ROUTES: readonly Route[] = [get, put, remove, append]

function bytesOf({ value }: { value: BytesJson | Buffer }): Uint8Array {
  return Buffer.isBuffer(value) ? value : bytesFrom(value, 'value')
}

/** The condition came in a header: if it does not hold, HTTP has a status of its own. */
async function conditional<T>(write: () => Promise<T>, ifVersion: bigint | undefined): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (!(error instanceof KvError && error.code === 'PRECONDITION_FAILED')) throw error
    throw conditionFailed(ifVersion === 0n ? 'If-None-Match' : 'If-Match', error.version)
  }
}

/** The bytes of the path are the key; those that the Store would refuse are refused in words that fit a path. */
export function checkKey(key: Buffer, { keyBytesMax }: Limits): void {
  if (key.length === 0) throw invalidArgument('the key is empty')
  if (key.length <= keyBytesMax) return
  throw new HttpRefusal(414, 'KEY_TOO_LONG', `the key has ${key.length} bytes; the limit is ${keyBytesMax}`)
}
