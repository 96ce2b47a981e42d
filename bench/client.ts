// The two ways for a benchmark to speak to a gateway.
import { RequestWrapper } from '../orchestrator/client/index.js'
import { Channel } from '../orchestrator/wire/channel.js'
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

function compatClient(address: string): BenchClient {
  const channel = new Channel(address)
  const calls = {
    put: (Key: string, Value: string) => channel.unary(KVStoreService.put, { Key, Value }, 'write', DEADLINE_MS),
    get: (Data: string) => channel.unary(KVStoreService.get, { Data }, 'read', DEADLINE_MS),
    delete: (Data: string) => channel.unary(KVStoreService.delete, { Data }, 'write', DEADLINE_MS),
  }
  return {
    run: async (verb, key, value) => {
      const answer = await calls[verb](key, value)
      if (!answer.Success) throw new Error('Error' in answer ? answer.Error : answer.Data)
      return 'Exists' in answer && answer.Exists ? answer.Data : undefined
    },
    close: () => channel.close(),
  }
}

function kvorumClient(address: string): BenchClient {
  const wrapper = new RequestWrapper(address, { deadlineMs: DEADLINE_MS })
  return { run: (verb, key, value) => wrapper[verb](key, value), close: () => wrapper.close() }
}
