import type { Operation, Result } from '../../core/operation.js'
import type { KvError } from '../../errors/index.js'
import type { LaneRequest } from '../lane-request.js'

/** A request that remembers what became of it; completing it twice is an error. */
export class FakeRequest implements LaneRequest {
  readonly operation: Operation
  readonly bytes: number
  readonly deadline: number
  settled = false
  sent = false
  outcome: KvError | Result | undefined

  constructor(given: { operation?: Operation; bytes?: number; deadline?: number } = {}) {
    this.operation = given.operation ?? { kind: 'get', key: Buffer.from('k') }
    this.bytes = given.bytes ?? 10
    this.deadline = given.deadline ?? Number.POSITIVE_INFINITY
  }

  complete(error: KvError | undefined, result: Result | undefined): void {
    if (this.outcome !== undefined) throw new Error('completed twice')
    this.outcome = error ?? result
  }
}

export function get(key = 'k', deadline?: number): FakeRequest {
  return new FakeRequest({ operation: { kind: 'get', key: Buffer.from(key) }, deadline })
}

export function put(key = 'k', deadline?: number): FakeRequest {
  return new FakeRequest({ operation: { kind: 'put', key: Buffer.from(key), value: Buffer.from('v') }, deadline })
}
