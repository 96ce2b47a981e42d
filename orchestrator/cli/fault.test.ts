import { afterEach, beforeEach, expect, test } from 'vitest'
import { KvError } from '../errors/index.js'
import { Condition, controlService, emptyStatus } from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import { fault, type Machine, type Network } from './fault.js'
import { taskOf } from './fault-task.js'

const PID = 4711
const NODE = 'shard-1/node-2'
const DATA = `data/${NODE}`

let listener: Listener
let said: string
let did: string[]
let runs: boolean
let isPaused: boolean
let proxy: Network | undefined
let argv: readonly string[] | undefined
beforeEach(async () => {
  said = ''
  did = []
  runs = true
  isPaused = true
  proxy = network
  argv = ['kvnode', '--data', DATA]
  const here = { machine: 'localhost', zone: 'localhost' }
  const status = { ...emptyStatus(), nodeId: 'abc', pid: PID, dataDir: DATA }
  const marks = { drained: false, slow: false }
  const nodes = [
    // A node that is paused does not answer; its pid is still known.
    { name: 'shard-1/node-2', condition: Condition.SILENT, reason: '', status, ...here, ...marks },
    { name: 'shard-1/node-3', condition: Condition.DOWN, reason: 'gone', status: undefined, ...here, ...marks },
  ]
  const report = { epoch: 1n, groups: [{ shard: 1, nodes, partitions: 1024 }] }
  listener = await listen({ host: '127.0.0.1', port: 0 }, [
    controlService(controlHandlers({ status: async () => report })),
  ])
})
afterEach(() => listener.close())

const network: Network = {
  begin: async (data, { fault, node, forMs }) => {
    did.push(`${fault} ${node} of ${data} for ${forMs}`)
    return async () => void did.push('end')
  },
  heal: async (_, node) => did.push(`heal ${node}`) > 0,
}

const machine: Machine = {
  argumentsOf: () => argv,
  kill: (pid) => did.push(`kill ${pid}`),
  pause: async ({ pid, directory, forMs }, begun) => {
    begun()
    did.push(`pause ${pid} ${directory} ${forMs}`)
    return runs
  },
  wake: (pid, directory) => did.push(`wake ${pid} ${directory}`) > 0 && isPaused,
  network: async () => proxy,
  wait: async (ms) => {
    did.push(`wait ${ms}`)
  },
}

async function run(words: string, { json = false, address = listener.address } = {}): Promise<number> {
  const [what = '', node] = words.split(' ')
  const say = (text: string): void => {
    said += text
  }
  const context = { out: say, warn: say, colours: false, columns: 0, version: '0' }
  const task = taskOf(what, node, node === undefined ? { all: true } : {})
  return fault(task, { json }, { address, timeoutMs: 2_000 }, context, machine)
}

test('a pause ends by itself', async () => {
  expect(await run(`pause ${NODE}`)).toBe(0)
  expect(did).toEqual([`pause ${PID} ${DATA} 30000`])
  expect(said).toBe(`paused ${NODE} (pid ${PID})\nhealed ${NODE} (pid ${PID})\n`)
})

test('a pause that ends while another goes on says so', async () => {
  runs = false
  expect(await run(`pause ${NODE}`)).toBe(0)
  expect(said).toMatch(/still paused by another command: shard-1\/node-2/)
})

test('kill and heal, by id, and for programs', async () => {
  expect(await run('kill abc')).toBe(0)
  expect(await run('heal abc', { json: true })).toBe(0)
  expect(did).toEqual([`kill ${PID}`, `heal ${NODE}`, `wake ${PID} ${DATA}`])
  expect(said).toBe(`killed ${NODE} (pid ${PID})\n{"node":"${NODE}","pid":${PID},"did":"healed"}\n`)
})

test('a partition is ended when its time is over, also of a node that has ended', async () => {
  expect(await run('partition abc')).toBe(0)
  expect(await run('delay shard-1/node-3')).toBe(0)
  expect(await run('heal shard-1/node-3')).toBe(0)
  expect(did).toEqual([
    `partition ${NODE} of data for 30000`,
    'wait 30000',
    'end',
    'delay shard-1/node-3 of data for 30000',
    'wait 30000',
    'end',
    'heal shard-1/node-3',
  ])
  expect(said).toMatch(
    /^cut off shard-1\/node-2 \(pid 4711\)\nhealed .*\ndelayed shard-1\/node-3\nhealed shard-1\/node-3\n/,
  )
})

test('where nothing was broken nothing is said to be healed', async () => {
  isPaused = false
  proxy = { ...network, heal: async () => false }
  expect(await run(`heal ${NODE}`)).toBe(0)
  expect(said).toBe(`nothing to heal: ${NODE} (pid ${PID})\n`)
})

test('every node is healed', async () => {
  expect(await run('heal')).toBe(0)
  expect(did).toEqual([`heal ${NODE}`, `wake ${PID} ${DATA}`, 'heal shard-1/node-3'])
})

test.each(['partition', 'delay'])('what a %s would need is said', async (what) => {
  proxy = { begin: async () => undefined, heal: async () => false }
  expect(await run(`${what} ${NODE}`)).toBe(3)
  proxy = undefined
  expect(await run(`${what} ${NODE}`)).toBe(3)
  expect(said).toMatch(/needs the proxy between the nodes.*npm start -- --fault-proxy.*\n.*needs the proxy/)
  expect(did).toEqual([])
})

test('nobody else is hit', async () => {
  await expect(run('kill shard-9/node-1')).rejects.toThrow(/there are shard-1\/node-2, shard-1\/node-3/)
  await expect(run('kill shard-1/node-3')).rejects.toThrow(KvError)
  await expect(run('kill abc', { address: 'elsewhere:7000' })).rejects.toThrow(/on this machine/)
  argv = ['somebody', 'else']
  await expect(run('kill abc')).rejects.toThrow(/no process on this machine/)
  expect(did).toEqual([])
})

test('where the system does not tell whose a process is, the orchestrator is believed', async () => {
  argv = undefined
  expect(await run(`kill ${NODE}`)).toBe(0)
  expect(did).toEqual([`kill ${PID}`])
})
