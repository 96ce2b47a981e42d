import { DEADLINE_MS_MAX } from '../core/limits.js'
import type { DeleteOperation, GetOperation, Operation, PutOperation, Result } from '../core/operation.js'
import type { CallInfo } from '../wire/services.js'
import type { GatewayContext } from './context.js'

type ResultOf<O extends Operation> = Extract<Result, { kind: O['kind'] }>

/** One operation of a unary call, as a promise: beside what such a call costs a promise is nothing. */
export type Execute = <O extends GetOperation | PutOperation | DeleteOperation>(
  operation: O,
  call: CallInfo,
) => Promise<ResultOf<O>>

export function executor(context: GatewayContext): Execute {
  return (operation, call) =>
    new Promise((resolve, reject) => {
      const deadlineMs = Math.min(call.deadlineMs ?? context.limits.deadlineMs, DEADLINE_MS_MAX)
      context.submit(operation, deadlineMs, (error, result) => {
        if (error === undefined) resolve(result as ResultOf<typeof operation>)
        else reject(error)
      })
    })
}
