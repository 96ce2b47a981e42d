// The two ways for a benchmark to speak to a gateway.
import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js'
import { RequestWrapper } from '../orchestrator/client/index.js'
import { KVStoreService } from '../orchestrator/wire/gen/kvstore.js'
import type { ServiceName, Verb } from './protocol.js'

const DEADLINE_MS = 10_000

export interface BenchClient {
  /** Rejects unless the operation was done. A get gives the value, if there is one. */
  run(verb: Verb, key: string, value: string): Promise<unknown>
  close(): void
}

export function openClient(service: ServiceName, address: string): BenchClient {
  return service === 'compat' ? compatClient(address) : kvorumClient(address)
}

/** A bare gRPC client, as programs have that were written for the service: no deadline, no retry. */
function compatClient(address: string): BenchClient {
  const client = new Client(address, credentials.createInsecure())
  const unary = <Req, Res>(method: MethodDefinition<Req, Res>, request: Req): Promise<Res> =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) => {
        if (error === null && answer !== undefined) resolve(answer)
        else reject(error ?? new Error('no answer'))
      })
    })
  const calls = {
    put: (Key: string, Value: string) => unary(KVStoreService.put, { Key, Value }),
    get: (Data: string) => unary(KVStoreService.get, { Data }),
    delete: (Data: string) => unary(KVStoreService.delete, { Data }),
  }
  return {
    run: async (verb, key, value) => {
      const answer = await calls[verb](key, value)
      if (!answer.Success) throw new Error('Error' in answer ? answer.Error : answer.Data)
      return 'Exists' in answer && answer.Exists ? answer.Data : undefined
    },
    close: () => client.close(),
  }
}

function kvorumClient(address: string): BenchClient {
  const wrapper = new RequestWrapper(address, { deadlineMs: DEADLINE_MS })
  const run = (verb: Verb, key: string, value: string) =>
    verb === 'put' ? wrapper.put(key, value) : wrapper[verb](key)
  return { run, close: () => wrapper.close() }
}
