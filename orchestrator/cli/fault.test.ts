import { afterEach, beforeEach, expect, test } from 'vitest'
import { KvError } from '../errors/index.js'
import { Condition, controlService, emptyStatus } from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { type Fault, fault, type Machine } from './fault.js'

const PID = 4711
const DATA = 'data/shard-1/node-2'

let listener: Listener
let said: string
let did: string[]
let argv: readonly string[] | undefined
beforeEach(async () => {
  said = ''
  did = []
  argv = ['kvnode', '--data', DATA]
  const status = { ...emptyStatus(), nodeId: 'abc', pid: PID, dataDir: DATA }
  const nodes = [
    // A node that is paused does not answer; its pid is still known.
    { name: 'shard-1/node-2', condition: Condition.SILENT, reason: '', status },
    { name: 'shard-1/node-3', condition: Condition.DOWN, reason: 'gone', status: undefined },
  ]
  const report = { epoch: 1n, groups: [{ shard: 1, nodes }] }
  listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService({ status: async () => report })])
})
afterEach(() => listener.close())

const machine: Machine = {
  argumentsOf: () => argv,
  signal: (pid, name) => did.push(`${name} ${pid}`),
  guard: (pid, forMs) => {
    did.push(`guard ${pid} ${forMs}`)
    return { end: () => did.push('no guard') }
  },
  wait: async (ms) => {
    did.push(`wait ${ms}`)
  },
}

function run(what: Fault, node = 'shard-1/node-2', { json = false, address = listener.address } = {}): Promise<number> {
  const say = (text: string): void => {
    said += text
  }
  const context = { out: say, warn: say, colours: false, version: '0' }
  return fault({ fault: what, node, forMs: 5_000 }, { json }, { address, timeoutMs: 2_000 }, context, machine)
}

test('a pause is guarded before it begins, and ended', async () => {
  expect(await run('pause')).toBe(0)
  expect(did).toEqual([`guard ${PID} 5000`, 'wait 5000', `SIGSTOP ${PID}`, `SIGCONT ${PID}`, 'no guard'])
  expect(said).toBe(`paused shard-1/node-2 (pid ${PID})\nhealed shard-1/node-2 (pid ${PID})\n`)
})

test('kill and heal, by id, and for programs', async () => {
  expect(await run('kill', 'abc')).toBe(0)
  expect(await run('heal', 'abc', { json: true })).toBe(0)
  expect(did).toEqual([`SIGKILL ${PID}`, `SIGCONT ${PID}`])
  expect(said).toBe(`killed shard-1/node-2 (pid ${PID})\n{"node":"shard-1/node-2","pid":${PID},"did":"healed"}\n`)
})

test.each<Fault>(['partition', 'delay'])('what a %s would need is said', async (what) => {
  expect(await run(what)).toBe(3)
  expect(said).toMatch(/needs a proxy between the nodes.*kvorum chaos --faults/)
  expect(did).toEqual([])
})

test('nobody else is hit', async () => {
  await expect(run('kill', 'shard-9/node-1')).rejects.toThrow(/there are shard-1\/node-2, shard-1\/node-3/)
  await expect(run('kill', 'shard-1/node-3')).rejects.toThrow(KvError)
  await expect(run('kill', 'abc', { address: 'elsewhere:7000' })).rejects.toThrow(/on this machine/)
  argv = ['somebody', 'else']
  await expect(run('kill', 'abc')).rejects.toThrow(/no process on this machine/)
  expect(did).toEqual([])
})

test('where the system does not tell whose a process is, the orchestrator is believed', async () => {
  argv = undefined
  expect(await run('kill')).toBe(0)
  expect(did).toEqual([`SIGKILL ${PID}`])
})
