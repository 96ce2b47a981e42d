import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DataDirectory } from '../control/data-directory.js'
import { FakeWorld } from '../control/testing/fake-world.js'
import { silent } from '../telemetry/index.js'
import { type Exit, Signal } from '../wire/agent.js'
import { Agent } from './agent.js'
import { AgentRecord } from './record.js'
import { openAgent } from './run.js'

let folder: string
let world: FakeWorld
let record: AgentRecord
let agent: Agent

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-agent-'))
  world = new FakeWorld()
  await open()
})
afterEach(async () => {
  await close()
  rmSync(folder, { recursive: true })
})

async function open(): Promise<void> {
  record = await AgentRecord.open(join(folder, 'agent'))
  const about = { name: 'm1', zone: 'z1', version: '1', processors: 2 }
  const directory = new DataDirectory(folder)
  agent = new Agent({ about, directory, record, driver: () => world.driver(async () => {}), telemetry: silent })
}

async function close(): Promise<void> {
  agent.close()
  await record.close()
}

/** The machine's agent is started again; its nodes go on. */
async function again(): Promise<void> {
  await close()
  await open()
}

const place = { shard: 1, index: 1 }
const NAME = 'shard-1/node-1'
const address = '127.0.0.1:20000'
const settings = { logLevel: 'info', valueBytesMax: 1 }
const by = (clusterId: string, term = 0n) => ({ clusterId, term })
const spawn = (authority = by('c1')) => agent.spawn({ authority, place, address, peers: [], ofNodes: 1, settings })
const find = (authority = by('c1'), pid = 0) => agent.find({ authority, place, address, pid })
const kill = (pid: number, authority = by('c1')) =>
  agent.signal({ authority, process: { place, pid, address }, signal: Signal.KILL })
const never = new AbortController().signal

function watch(pid: number, authority = by('c1')): AsyncIterator<Exit | undefined> {
  return agent.watch({ authority, process: { place, pid, address } }, never)[Symbol.asyncIterator]()
}

describe('an agent', () => {
  test('belongs to the cluster of its first node, also after it was started again', async () => {
    expect(await find(by('c2'))).toBe(0)
    expect((await agent.describe()).clusterId).toBe('')
    const pid = await spawn()
    for (const round of ['now', 'started again']) {
      const refusal = {
        code: 'WRONG_PEER',
        outcome: 'not-applied',
        message: expect.stringContaining('cluster c1, not to c2'),
      }
      await expect(spawn(by('c2')), round).rejects.toMatchObject(refusal)
      await expect(find(by('c2'))).rejects.toMatchObject(refusal)
      await expect(kill(pid, by('c2'))).rejects.toMatchObject(refusal)
      await expect(agent.remove(by('c2'), place)).rejects.toMatchObject(refusal)
      await expect(agent.holds(by('c2'), place)).rejects.toMatchObject(refusal)
      await expect(watch(pid, by('c2')).next()).rejects.toMatchObject(refusal)
      expect(world.process(NAME)?.pid).toBe(pid)
      await again()
    }
  })

  test('does nothing for an orchestrator that has a successor, also after it was started again', async () => {
    const pid = await spawn(by('c1', 5n))
    // The successor has only looked.
    await find(by('c1', 7n))
    for (const round of ['now', 'started again']) {
      const refusal = {
        code: 'PRECONDITION_FAILED',
        outcome: 'not-applied',
        message: expect.stringContaining('term 7'),
      }
      await expect(kill(pid, by('c1', 6n)), round).rejects.toMatchObject(refusal)
      await expect(spawn(by('c1', 5n))).rejects.toMatchObject(refusal)
      await expect(agent.remove(by('c1'), place)).rejects.toMatchObject(refusal)
      expect(world.process(NAME)?.pid).toBe(pid)
      await again()
    }
    await kill(pid, by('c1', 7n))
    expect(world.process(NAME)).toBeUndefined()
    await spawn(by('c1', 8n))
    expect((await agent.describe()).term).toBe(8n)
  })

  test('has no order of a smaller term under way when it answers one of a greater', async () => {
    await spawn()
    const [pid = 0] = [...world.running].map((one) => one.pid)
    const orders = [kill(pid, by('c1', 1n)), spawn(by('c1', 2n)), kill(pid, by('c1', 1n))]
    const ends = await Promise.allSettled(orders)
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(world.running.size).toBe(1)
  })

  test('tells the end of a process to whoever watches, and to whoever comes too late', async () => {
    const pid = await spawn()
    const early = watch(pid)
    expect(await early.next()).toEqual({ done: false, value: undefined })
    const end = early.next()
    world.kill(NAME, { code: 74, lastWords: 'no space' })
    const exit = { code: 74, signal: '', lastWords: 'no space' }
    expect(await end).toEqual({ done: false, value: exit })
    expect(await watch(pid).next()).toEqual({ done: false, value: exit })
    expect(await watch(pid + 1).next()).toEqual({ done: false, value: { signal: '', lastWords: '' } })
  })

  test('goes on with what an agent before it has started', async () => {
    const pid = await spawn()
    await again()
    const watching = watch(pid)
    expect(await watching.next()).toEqual({ done: false, value: undefined })
    expect(await find(by('c1'), pid)).toBe(pid)
    await kill(pid)
    expect(await watching.next()).toMatchObject({ value: { signal: 'SIGKILL' } })
    expect(await find(by('c1'), pid)).toBe(0)
  })

  test('removes no directory of a node that runs, nor any before it belongs to a cluster', async () => {
    const pid = await spawn()
    await expect(agent.remove(by('c1'), place)).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' })
    await kill(pid)
    await close()
    rmSync(join(folder, 'agent'), { recursive: true })
    await open()
    await agent.remove(by('c1'), { shard: 9, index: 1 })
    await expect(agent.remove(by('c1'), place)).rejects.toMatchObject({ code: 'WRONG_PEER' })
    expect(existsSync(join(folder, NAME))).toBe(true)
  })

  test.each([
    ['no cluster', () => find(by(''))],
    ['no node', () => agent.holds(by('c1'), undefined)],
    ['node 0', () => agent.holds(by('c1'), { shard: 1, index: 0 })],
    ['no signal', () => agent.signal({ authority: by('c1'), process: { place, pid: 1, address }, signal: 0 })],
  ])('refuses what names %s', async (_, ask) => {
    await expect(ask()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('a start of an agent', () => {
  const options = { insecure: false, zone: 'z', program: process.execPath, version: '1', telemetry: silent }
  const start = (listen: string, name = 'm2', data = join(folder, 'other')) =>
    openAgent({ ...options, listen, name, data })

  test('on data that another one has is refused', async () => {
    await expect(start('127.0.0.1:0', 'm2', folder)).rejects.toThrow(/is in use by another agent: stop it/)
  })

  test.each([
    ['beyond loopback without --insecure', '10.255.255.1:7100', 'm2', /not a loopback address.*--insecure/],
    ['on every address', '0.0.0.0:7100', 'm2', /the address is needed that other machines reach/],
    ['without a port', '127.0.0.1', 'm2', /host:port is needed/],
    ['under the name of this machine', '127.0.0.1:0', 'localhost', /cannot be the name of a machine/],
    ['under a name with a space', '127.0.0.1:0', 'm 2', /cannot be the name of a machine/],
  ])('%s is refused', async (_, listen, name, says) => {
    await expect(start(listen, name)).rejects.toThrow(says)
  })
})
