// The package-less KVStore service, for clients that were there before Kvorum. Text in, text out, and every failure
// inside the answer: such a client knows of no gRPC status.
import { decodeText, encodeText } from '../core/text.js'
import { KvError, toKvError } from '../errors/index.js'
import type { KvStoreHandlers } from '../wire/services.js'
import type { GatewayContext } from './context.js'
import { executor } from './unary.js'

const DONE = { Success: true, Error: '' }

export function compatHandlers(context: GatewayContext): KvStoreHandlers {
  const execute = executor(context)
  return {
    get: async ({ Data }, call) => {
      try {
        const { found, value } = await execute({ kind: 'get', key: encodeText(Data, 'key') }, call)
        return found ? textAnswer(value) : { Success: true, Exists: false, Data: '' }
      } catch (error) {
        return { Success: false, Exists: false, Data: explain(error) }
      }
    },
    put: ({ Key, Value }, call) =>
      status(() => execute({ kind: 'put', key: encodeText(Key, 'key'), value: encodeText(Value, 'value') }, call)),
    delete: ({ Data }, call) => status(() => execute({ kind: 'delete', key: encodeText(Data, 'key') }, call)),
  }
}

/** A value that another service stored may be no text at all; a proto string must not carry it. */
function textAnswer(value: Uint8Array): { Success: boolean; Exists: boolean; Data: string } {
  const text = decodeText(value)
  if (text !== undefined) return { Success: true, Exists: true, Data: text }
  return { Success: false, Exists: true, Data: 'UNSUPPORTED: the value is not text: read it through kvorum.v1' }
}

async function status(work: () => Promise<unknown>): Promise<{ Success: boolean; Error: string }> {
  try {
    await work()
    return DONE
  } catch (error) {
    return { Success: false, Error: explain(error) }
  }
}

/** Code and outcome go into the text: this contract has no other place for them. */
function explain(thrown: unknown): string {
  const error = thrown instanceof KvError ? thrown : toKvError(thrown, 'unknown')
  return `${error.code}: ${error.message} (${error.outcome})`
}
