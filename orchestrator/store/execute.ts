import { DEADLINE_MS_MAX } from '../core/limits.js'
import type { DeleteOperation, Operation, PutOperation, Result } from '../core/operation.js'
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
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal')
  if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) throw new TypeError('deadlineMs must be a number')
  if (operation.kind === 'transaction') {
    for (const step of [...operation.then, ...operation.otherwise]) checkArguments(step, deadlineMs, signal)
    return
  }
  if (!(operation.key instanceof Uint8Array)) throw new TypeError('the key must be a Uint8Array')
  if ('value' in operation && !(operation.value instanceof Uint8Array))
    throw new TypeError('the value must be a Uint8Array')
  if (operation.kind === 'get') checkBound(operation.staleMs)
  if (operation.kind === 'put' || operation.kind === 'delete') checkCondition(operation)
  if (operation.kind === 'compare-and-set') checkExpected(operation.expected)
  if (operation.kind === 'increment') checkBy(operation.by)
  if ('ttlMs' in operation && operation.ttlMs !== undefined && typeof operation.ttlMs !== 'number') {
    throw new TypeError('ttlMs must be a number')
  }
}

function checkCondition({ ifVersion, returnPrevious }: PutOperation | DeleteOperation): void {
  if (ifVersion !== undefined && (typeof ifVersion !== 'bigint' || ifVersion < 0n)) {
    throw new TypeError('ifVersion must be a bigint that is not negative')
  }
  if (returnPrevious !== undefined && typeof returnPrevious !== 'boolean') {
    throw new TypeError('returnPrevious must be true or false')
  }
}

function checkExpected(expected: Uint8Array | undefined): void {
  if (expected !== undefined && !(expected instanceof Uint8Array)) {
    throw new TypeError('the expected value must be a Uint8Array')
  }
}

function checkBy(by: bigint): void {
  if (typeof by === 'bigint' && BigInt.asIntN(64, by) === by) return
  throw new TypeError('what is added must be a bigint, and an int64')
}

function checkBound(staleMs: number | undefined): void {
  if (staleMs === undefined || (Number.isInteger(staleMs) && staleMs >= 0 && staleMs <= DEADLINE_MS_MAX)) return
  throw new TypeError(`staleMs must be a whole number of ms up to ${DEADLINE_MS_MAX}`)
}
