import type { Limits } from '../core/limits.js'
import { type Operation, PREVIOUS_BYTES_MAX, type Result, returnsPrevious } from '../core/operation.js'
import { type KvError, OverloadedError, TooLargeError } from '../errors/index.js'
import { json } from './answer.js'
import { bytesFrom } from './bytes.js'
import { expectationOf, sumOf } from './compare.js'
import { noCondition, noIdempotencyKey } from './conditions.js'
import { livesBy } from './lease-schemas.js'
import type { Asking, Operations } from './operations.js'
import { problemOf } from './problem.js'
import { type Route, route } from './route.js'
import {
  Batch,
  BatchAnswer,
  type BatchOperationJson,
  type BatchResultJson,
  foundOf,
  previously,
  WriteQuery,
} from './schemas.js'

/** Of one batch: values come in faster than they can be weighed if more are asked for at once. */
const GETS_AT_ONCE = 16
const AGAIN_MS = 10

const batch = route({
  id: 'batch',
  method: 'POST',
  paths: ['/v1/batch'],
  summary: 'Several operations at the same time, each by itself. Also for keys that a path cannot hold ("." and "..").',
  query: WriteQuery,
  body: { schema: Batch, bytesMax: ({ batchBytesMax }) => batchBytesMax, guard: checkLength, lax: false },
  asks: 'store',
  writes: true,
  answers: { 200: { description: 'What became of each.', schema: BatchAnswer } },
  handle: async ({ query, headers, body, signal, hold }, { operations }) => {
    noIdempotencyKey(headers)
    noCondition(headers)
    const asking = { timeoutMs: query.timeout_ms, signal, hold }
    return json(200, { results: await runAll(body.operations, operations, asking) })
  },
})

export const BATCH_ROUTES: readonly Route[] = [batch]

/** Before each operation is looked at: there may be a million of them. */
function checkLength(body: unknown, { batchOperationsMax }: Limits): void {
  const { operations } = (body ?? {}) as { operations?: unknown }
  if (!Array.isArray(operations) || operations.length <= batchOperationsMax) return
  const message = `the batch has ${operations.length} operations; the limit is ${batchOperationsMax}`
  throw new TooLargeError(message, { outcome: 'not-applied' })
}

/** All writes at once, and the gets a few at a time: each result is in its operation's place. */
async function runAll(
  all: readonly BatchOperationJson[],
  operations: Operations,
  asking: Asking,
): Promise<BatchResultJson[]> {
  const results = new Array<BatchResultJson>(all.length)
  const room = { bytes: operations.limits.batchBytesMax, empty: true }
  const run = async (one: BatchOperationJson, index: number) => {
    try {
      const operation = operationOf(one)
      if (returnsPrevious(operation)) reserve(room)
      results[index] = fit(await operations.run(operation, asking), room)
    } catch (thrown) {
      results[index] = { error: problemOf(thrown, one.op !== 'get' && one.op !== 'ttl-of') }
    }
  }
  // One iterator for all readers: each takes the next one.
  const gets = [...all.entries()].filter(([, { op }]) => op === 'get').values()
  const reader = async () => {
    for (const [index, one] of gets) await run(one, index)
  }
  const writes = all.map((one, index) => (one.op === 'get' ? undefined : run(one, index)))
  await Promise.all([...writes, ...Array.from({ length: GETS_AT_ONCE }, reader)])
  return results
}

function operationOf(one: BatchOperationJson): Operation {
  const key = bytesFrom(one.key, 'key')
  switch (one.op) {
    case 'get':
      return { kind: 'get', key, staleMs: one.stale_ms }
    case 'put':
      return { kind: 'put', key, value: bytesFrom(one.value, 'value'), ...optionsOf(one), ...livesBy(one) }
    case 'delete':
      return { kind: 'delete', key, ...optionsOf(one) }
    case 'append':
      return { kind: 'append', key, value: bytesFrom(one.value, 'value') }
    case 'compare-and-set':
      return { kind: 'compare-and-set', key, ...expectationOf(one) }
    case 'increment':
      return { kind: 'increment', key, by: BigInt(one.by) }
    case 'touch':
      return { kind: 'touch', key, ttlMs: one.ttl_ms ?? undefined }
    case 'ttl-of':
      return { kind: 'ttl-of', key }
  }
}

function optionsOf({
  if_version,
  return_previous,
}: {
  if_version?: string | number | undefined
  return_previous?: boolean | undefined
}) {
  return { ifVersion: if_version === undefined ? undefined : BigInt(if_version), returnPrevious: return_previous }
}

/** What a write gives back has its room in the answer before the write is done. */
function reserve(room: { bytes: number }): void {
  if (room.bytes < PREVIOUS_BYTES_MAX) throw answerFull()
  room.bytes -= PREVIOUS_BYTES_MAX
}

/** A value that does not fit into the answer any more is to be asked for again, except the first: each try gets on. */
function fit(result: Result, room: { bytes: number; empty: boolean }): BatchResultJson {
  if (result.kind === 'get' && result.found) {
    const { byteLength } = result.value
    if (!room.empty && byteLength > room.bytes) throw answerFull()
    room.empty = false
    room.bytes -= byteLength
  }
  return inJson(result)
}

/** Of any operation but a transaction. */
export function inJson(result: Result): BatchResultJson {
  switch (result.kind) {
    case 'get':
      if (!result.found) return { found: false }
      return { found: true, ...foundOf(result) }
    case 'put':
      return { version: String(result.version), ...previously(result.previous) }
    case 'delete':
      return { existed: result.existed, ...previously(result.previous) }
    case 'compare-and-set':
      return { version: String(result.version) }
    case 'increment':
      return sumOf(result)
    case 'append':
      return { version: String(result.version), length: result.length }
    case 'touch':
      return { existed: result.existed }
    case 'ttl-of':
      return result.found ? { found: true, ttl_ms: result.ttlMs ?? null } : { found: false }
    case 'transaction':
    case 'open-session':
    case 'page':
    case 'grant-lease':
    case 'keep-alive':
    case 'revoke-lease':
      throw new TypeError('no operation of a batch')
  }
}

function answerFull(): KvError {
  const message = 'the answer to this batch is full: ask for less at once'
  return new OverloadedError(message, { outcome: 'not-applied', retryAfterMs: AGAIN_MS })
}
