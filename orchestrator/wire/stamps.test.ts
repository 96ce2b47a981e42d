import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Operation, SessionRef, Stamp } from '../core/operation.js'
import type { BatchRequest } from './gen/kvorum/v1/kv.js'
import type { LaneRequest } from './lane-request.js'
import { BATCH } from './methods.js'
import { requestsToWire, stampsFromWire } from './stamps.js'

const GET: Operation = { kind: 'get', key: Buffer.from('k') }
const PUT: Operation = { kind: 'put', key: Buffer.from('k'), value: Buffer.from('v') }

function request(operation: Operation, stamp?: Stamp): LaneRequest {
  return { operation, stamp, bytes: 1, deadline: 1, settled: false, sent: false, complete: () => {} }
}

function session(name: number, floor: bigint | number): SessionRef {
  return { id: new Uint8Array(16).fill(name), floor, shard: name }
}

function travel(requests: readonly LaneRequest[]): BatchRequest {
  const message = { id: 1n, epoch: 1n, timeoutMs: 1, ...requestsToWire(requests) }
  return BATCH.requestDeserialize(BATCH.requestSerialize(message))
}

test('stamps come back the same, and each session travels once', () => {
  const sessions = [session(1, 5n), session(2, 2n ** 64n - 1n)]
  const stamp = fc.record({
    session: fc.constantFrom(...sessions),
    sequence: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  })
  fc.assert(
    fc.property(fc.array(fc.option(stamp, { nil: undefined })), (stamps) => {
      const message = travel(stamps.map((one) => request(one === undefined ? GET : PUT, one)))
      const received = stampsFromWire(message.operations, message.sessions)
      expect(stamps.map((_, at) => received[at]?.sequence)).toEqual(stamps.map((one) => one?.sequence))
      expect(stamps.map((_, at) => received[at]?.session.floor)).toEqual(stamps.map((one) => one?.session.floor))
      expect(stamps.map((_, at) => received[at]?.session.shard)).toEqual(stamps.map((one) => one?.session.shard))
      expect(message.sessions).toHaveLength(new Set(stamps.map((one) => one?.session).filter(Boolean)).size)
    }),
  )
})

test('a message of reads carries nothing of the kind', () => {
  const message = travel([request(GET)])
  expect(message.sessions).toEqual([])
  expect(stampsFromWire(message.operations, message.sessions)).toEqual([])
})

// It must not pass for a write without a session, which would be applied each time.
test('a number of no session stays one, for the node to refuse', () => {
  const message = travel([request(PUT, { session: session(1, 1), sequence: 7 })])
  message.sessions = []
  const [stamp] = stampsFromWire(message.operations, message.sessions)
  expect(stamp).toEqual({ session: { id: new Uint8Array(), floor: 0, shard: 0 }, sequence: 7n })
})

// It would travel on, and break the lane that it shares with others if it is large.
test('an id that is none does not travel on', () => {
  const message = travel([request(PUT, { session: { id: new Uint8Array(1 << 20), floor: 1, shard: 1 }, sequence: 7 })])
  const [stamp] = stampsFromWire(message.operations, message.sessions)
  expect(stamp?.session.id).toHaveLength(0)
})
