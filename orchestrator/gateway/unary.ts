import { DEADLINE_MS_MAX } from '../core/limits.js'
import type { DeleteOperation, GetOperation, Operation, PutOperation, Result } from '../core/operation.js'
import type { TransactionOperation } from '../core/transaction.js'
import type { CallInfo } from '../wire/services.js'
import type { GatewayContext } from './context.js'
import { overloaded } from './work.js'

type ResultOf<O extends Operation> = Extract<Result, { kind: O['kind'] }>

/** One operation of a unary call, as a promise: beside what such a call costs a promise is nothing. */
export type Execute = <O extends GetOperation | PutOperation | DeleteOperation | TransactionOperation>(
  operation: O,
  call: CallInfo,
) => Promise<ResultOf<O>>

/** A call costs many times what its operation weighs: a stream, headers, timers. */
const CALLS_MAX = 2048
/** What that many take at a few thousand a second. */
const CROWDED_MS = 100

export function executor(context: GatewayContext): Execute {
  return (operation, call) =>
    new Promise((resolve, reject) => {
      if (context.calls >= CALLS_MAX) {
        reject(overloaded('the gateway has as many unary calls as it may', CROWDED_MS))
        return
      }
      context.calls++
      const deadlineMs = Math.min(call.deadlineMs ?? context.limits.deadlineMs, DEADLINE_MS_MAX)
      context.submit(operation, deadlineMs, (error, result) => {
        context.calls--
        if (error === undefined) resolve(result as ResultOf<typeof operation>)
        else reject(error)
      })
    })
}
