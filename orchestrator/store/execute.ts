import { DEADLINE_MS_MAX } from '../core/limits.js'
import type { DeleteOperation, Operation, PutOperation, Result } from '../core/operation.js'
import { describe } from '../core/words.js'
import { onAbort } from './abort.js'
import type { Done } from './call.js'
import type { Executor } from './executor.js'

export interface ExecuteOptions {
  /** How long the operation may take, ms. Default: the limits' deadlineMs. */
  readonly deadlineMs?: number
  /** Aborting it ends the operation with CANCELLED. */
  readonly signal?: AbortSignal
}

/** The promise at the edge of the API; below it there are callbacks. */
export function executeOn(
  executor: Executor,
  operation: Operation,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    checkArguments(operation, deadlineMs, signal)
    performOn(executor, operation, deadlineMs, signal, (error, result) => {
      if (error === undefined) resolve(result as Result)
      else reject(error)
    })
  })
}

/** Submits an operation that a signal may cancel. `done` may be called before it returns. */
export function performOn(
  executor: Executor,
  operation: Operation,
  deadlineMs: number,
  signal: AbortSignal | undefined,
  done: Done,
): void {
  if (signal === undefined) {
    executor.submit(operation, deadlineMs, done)
    return
  }
  let deafen = () => {}
  const call = executor.submit(operation, deadlineMs, (error, result) => {
    deafen()
    done(error, result)
  })
  if (call === undefined || call.settled) return
  const giveUp = () => executor.cancel(call, signal.reason)
  if (signal.aborted) giveUp()
  else deafen = onAbort(signal, giveUp)
}

/** Mistakes of the calling program are TypeErrors. */
export function checkArguments(operation: Operation, deadlineMs: number, signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) wrong('signal', 'an AbortSignal', signal)
  if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) wrong('deadlineMs', 'a number of ms', deadlineMs)
  if (operation.kind === 'transaction') {
    for (const step of [...operation.then, ...operation.otherwise]) checkArguments(step, deadlineMs, signal)
    return
  }
  if (!(operation.key instanceof Uint8Array)) wrong('the key', 'a Uint8Array', operation.key)
  if ('value' in operation && !(operation.value instanceof Uint8Array)) {
    wrong('the value', 'a Uint8Array', operation.value)
  }
  if (operation.kind === 'get') checkBound(operation.staleMs)
  if (operation.kind === 'put' || operation.kind === 'delete') checkCondition(operation)
  if (operation.kind === 'compare-and-set') checkExpected(operation.expected)
  if (operation.kind === 'increment') checkBy(operation.by)
  if ('ttlMs' in operation && operation.ttlMs !== undefined && typeof operation.ttlMs !== 'number') {
    throw new TypeError('ttlMs must be a number')
  }
  if ('lease' in operation && operation.lease !== undefined && !(operation.lease instanceof Uint8Array)) {
    wrong('the lease', 'a Uint8Array', operation.lease)
  }
}

function wrong(what: string, wanted: string, given: unknown): never {
  throw new TypeError(`${what} must be ${wanted}, not ${describe(given)}`)
}

function checkCondition({ ifVersion, returnPrevious }: PutOperation | DeleteOperation): void {
  // Not by a range: the wire would cut what is greater than uint64, and the condition would be another one.
  if (ifVersion !== undefined && (typeof ifVersion !== 'bigint' || BigInt.asUintN(64, ifVersion) !== ifVersion)) {
    wrong('ifVersion', 'a version as answers have it, a bigint like 12n (0n: absent)', ifVersion)
  }
  if (returnPrevious !== undefined && typeof returnPrevious !== 'boolean') {
    wrong('returnPrevious', 'true or false', returnPrevious)
  }
}

function checkExpected(expected: Uint8Array | undefined): void {
  if (expected !== undefined && !(expected instanceof Uint8Array)) wrong('the expected value', 'a Uint8Array', expected)
}

function checkBy(by: bigint): void {
  if (typeof by === 'bigint' && BigInt.asIntN(64, by) === by) return
  wrong('what is added', 'a bigint, and an int64, like 5n or -5n', by)
}

function checkBound(staleMs: number | undefined): void {
  if (staleMs === undefined || (Number.isInteger(staleMs) && staleMs >= 0 && staleMs <= DEADLINE_MS_MAX)) return
  wrong('staleMs', `a whole number of ms up to ${DEADLINE_MS_MAX}`, staleMs)
}
