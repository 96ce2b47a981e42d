import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ANY_KEY, type Operation, type Result, TTL_MS_MAX } from '../core/operation.js'
import { PARTITIONS } from '../core/slot.js'
import { makeClusterMap } from '../core/topology.js'
import { CODES, type Code, type KvError, kvError, OUTCOMES, type Outcome } from '../errors/index.js'
import { decodeClusterMap, encodeClusterMap } from './cluster-map.js'
import { operationFromWire, operationToWire, resultFromWire, resultToWire } from './convert.js'
import { errorFromStatus, errorFromWire, errorToWire, statusOf } from './errors.js'
import { BatchRequest, BatchResponse } from './gen/kvorum/v1/kv.js'
import { BATCH } from './methods.js'

const bytes = fc.uint8Array({ maxLength: 300 })
const version = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const ifVersion = fc.option(version, { nil: undefined })
const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: undefined })
const returnPrevious = maybe(fc.boolean())
const ttlMs = maybe(fc.integer({ min: 0, max: TTL_MS_MAX }))
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const previous = maybe(fc.record({ value: bytes, version }))
const lease = maybe(bytes)
const parts = { key: fc.constant(ANY_KEY), lease: bytes, shard: fc.nat(), partitions: bytes }
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('get' as const), key: bytes }),
  fc.record({ kind: fc.constant('put' as const), key: bytes, value: bytes, ifVersion, returnPrevious, ttlMs, lease }),
  fc.record({ kind: fc.constant('delete' as const), key: bytes, ifVersion, returnPrevious }),
  fc.record({ kind: fc.constant('append' as const), key: bytes, value: bytes }),
  fc.record({ kind: fc.constant('compare-and-set' as const), key: bytes, expected: maybe(bytes), value: bytes }),
  fc.record({ kind: fc.constant('increment' as const), key: bytes, by: int64 }),
  fc.record({ kind: fc.constant('touch' as const), key: bytes, ttlMs }),
  fc.record({ kind: fc.constant('ttl-of' as const), key: bytes }),
  fc.record({ kind: fc.constant('grant-lease' as const), ...parts, ttlMs: fc.integer({ min: 0, max: TTL_MS_MAX }) }),
  fc.record({ kind: fc.constant('keep-alive' as const), ...parts }),
  fc.record({ kind: fc.constant('revoke-lease' as const), ...parts }),
)
const result: fc.Arbitrary<Result> = fc.oneof(
  fc.record({ kind: fc.constant('get' as const), found: fc.boolean(), value: bytes, version, ttlMs }),
  fc.record({ kind: fc.constant('put' as const), version, previous }),
  fc.record({ kind: fc.constant('delete' as const), existed: fc.boolean(), previous }),
  fc.record({ kind: fc.constant('append' as const), version, length: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('compare-and-set' as const), version }),
  fc.record({ kind: fc.constant('increment' as const), value: int64, version }),
  fc.record({ kind: fc.constant('touch' as const), existed: fc.boolean() }),
  fc.record({ kind: fc.constant('ttl-of' as const), found: fc.boolean(), ttlMs }),
  fc.record({ kind: fc.constant('grant-lease' as const) }),
  fc.record({ kind: fc.constant('keep-alive' as const), ttlMs: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('revoke-lease' as const), existed: fc.boolean(), more: fc.boolean() }),
)
const error: fc.Arbitrary<KvError> = fc
  .record({
    code: fc.constantFrom(...(Object.keys(CODES) as Code[])),
    message: fc.string(),
    outcome: fc.constantFrom(...(Object.keys(OUTCOMES) as Outcome[])),
    retryAfterMs: fc.option(fc.integer({ min: 1, max: 2 ** 32 - 1 }), { nil: undefined }),
    shard: fc.option(fc.integer({ min: 1, max: 2 ** 32 - 1 }), { nil: undefined }),
    node: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    leader: fc.option(fc.record({ nodeId: fc.string(), address: fc.string(), term: version }), { nil: undefined }),
    epoch: fc.option(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), { nil: undefined }),
  })
  .map(({ code, message, ...details }) => kvError(code, message, details))

function plain(failure: KvError): object {
  const { code, message, outcome, retryAfterMs, shard, node, leader, epoch } = failure
  return { code, message, outcome, retryAfterMs, shard, node, leader, epoch }
}

describe('what travels comes back the same', () => {
  test('operations', () => {
    fc.assert(
      fc.property(fc.array(operation), (operations) => {
        const request = { id: 1n, epoch: 2n, timeoutMs: 3, operations: operations.map(operationToWire), sessions: [] }
        const received = BatchRequest.decode(new Uint8Array(BATCH.requestSerialize(request)))
        expect(received.operations.map(operationFromWire)).toEqual(operations)
      }),
    )
  })

  test('results', () => {
    fc.assert(
      fc.property(fc.array(result), fc.array(fc.nat()), (results, positions) => {
        const sent = BATCH.responseSerialize({ id: 1n, results: results.map(resultToWire), positions })
        const received = BatchResponse.decode(new Uint8Array(sent))
        expect(received.positions).toEqual(positions)
        expect(received.results.map((one, at) => resultFromWire(one, results[at]?.kind ?? 'get'))).toEqual(results)
      }),
    )
  })

  test('errors, in a batch and as the end of a unary call', () => {
    fc.assert(
      fc.property(error, (failure) => {
        expect(plain(errorFromWire(errorToWire(failure), false))).toEqual(plain(failure))
        const status = statusOf(failure)
        const unary = errorFromStatus(Object.assign(new Error('status'), status) as never, {
          read: false,
          address: 'a:1',
        })
        expect(plain(unary)).toEqual(plain(failure))
      }),
    )
  })

  test('cluster maps', () => {
    const map = makeClusterMap({
      clusterId: 'c',
      epoch: 2n ** 60n,
      owners: Array.from({ length: PARTITIONS }, (_, partition) => 1 + (partition % 2)),
      shards: [
        { id: 1, nodes: [{ id: 'n1', address: '127.0.0.1:1' }] },
        { id: 2, incarnation: 7, nodes: [{ id: 'n2', address: '127.0.0.1:2' }] },
      ],
    })
    expect(decodeClusterMap(encodeClusterMap(map))).toEqual(map)
    expect(() => decodeClusterMap(new Uint8Array(0))).toThrow(TypeError)
  })
})

test('a plain put is as large as it was before there were others', () => {
  const put = operationToWire({ kind: 'put', key: Buffer.from('k'), value: Buffer.from('v') })
  const sent = BATCH.requestSerialize({ id: 1n, epoch: 0n, timeoutMs: 0, operations: [put], sessions: [] })
  expect(Buffer.from(sent).toString('hex')).toBe('0801220812060a016b120176')
})

test('a put that ends by itself is none to a node that would keep it for ever', () => {
  const put = { kind: 'put' as const, key: Buffer.from('k'), value: Buffer.from('v') }
  for (const end of [{ ttlMs: 1 }, { lease: Buffer.alloc(16, 1) }]) {
    expect(operationToWire({ ...put, ...end }).kind?.$case).toBe('mortalPut')
  }
})

test.each(['PRECONDITION_FAILED', 'NOT_A_NUMBER', 'OVERFLOW'] as const)('%s says the version, 0 included', (code) => {
  for (const version of [0n, 7n]) {
    const failure = kvError(code, 'why', { outcome: 'not-applied', version })
    expect(errorFromWire(errorToWire(failure), false)).toMatchObject({ code, version })
  }
})

describe('what is not understood', () => {
  test('an operation of a newer kind is no operation', () => {
    expect(operationFromWire({ kind: undefined })).toBeUndefined()
  })

  test.each<[Operation['kind'], Outcome]>([
    ['get', 'not-applied'],
    ['put', 'unknown'],
    ['delete', 'unknown'],
  ])('an answer that does not fit a %s is INTERNAL, %s', (kind, outcome) => {
    expect(resultFromWire({ kind: undefined }, kind)).toMatchObject({ code: 'INTERNAL', outcome })
    const other = resultToWire(
      kind === 'get'
        ? { kind: 'put', version: 1n }
        : { kind: 'get', found: false, value: new Uint8Array(0), version: 0n },
    )
    expect(resultFromWire(other, kind)).toMatchObject({ code: 'INTERNAL', outcome })
  })

  test('a code of a newer peer is INTERNAL, a missing outcome unknown; a read is never applied', () => {
    const wire = {
      ...errorToWire(kvError('MOVING', 'm', { outcome: 'unknown' })),
      code: 99 as never,
      outcome: 0 as never,
    }
    expect(errorFromWire(wire, false)).toMatchObject({ code: 'INTERNAL', outcome: 'unknown', message: 'error 99: m' })
    expect(errorFromWire(wire, true)).toMatchObject({ outcome: 'not-applied' })
  })
})
