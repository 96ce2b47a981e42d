import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { EventName, Events, Telemetry } from '../telemetry/index.js'
import { State } from '../wire/node-admin.js'
import type { NodeRecord } from './registry.js'
import { Supervisor } from './supervisor.js'
import { FakeWorld } from './testing/fake-world.js'
import { ScaledClock } from './testing/scaled-clock.js'

let folder: string
let world: FakeWorld
let events: { name: EventName; event: object }[]
let records: NodeRecord[]
let wakes: Set<() => void>
let moves: number
let isMember: boolean

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-supervisor-'))
  world = new FakeWorld()
  events = []
  records = []
  wakes = new Set()
  moves = 0
  isMember = false
})
afterEach(() => rmSync(folder, { recursive: true }))

const NAME = 'shard-1/node-1'
const never = new AbortController().signal
const telemetry: Telemetry = {
  enabled: () => true,
  emit: (name: EventName, event: Events[EventName]) => events.push({ name, event }),
}

function supervise(pass: (what: string) => Promise<void> = async () => {}): Supervisor {
  const spec = {
    shard: 1,
    index: 1,
    name: NAME,
    clusterId: 'c',
    machine: 'localhost',
    directory: join(folder, 'n'),
    ofNodes: 1,
  }
  const record = { shard: 1, index: 1, address: '127.0.0.1:1' }
  return new Supervisor(spec, record, {
    driver: world.driver(pass),
    pathOf: (program) => `/data/bin/${program}/kvnode`,
    freeAddress: async () => '127.0.0.1:2',
    links: world.links(pass),
    telemetry,
    clock: new ScaledClock(),
    record: async (changed) => void records.push(changed),
    peers: () => [],
    isMember: () => isMember,
    changed: () => {
      for (const wake of [...wakes]) wake()
    },
    moved: () => void moves++,
  })
}

function until(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      if (!holds()) return
      wakes.delete(wake)
      resolve()
    }
    wakes.add(wake)
    wake()
  })
}

function named(name: EventName): object[] {
  return events.filter((one) => one.name === name).map(({ event }) => event)
}

describe('a supervisor', () => {
  test('starts the node and writes down where it is', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    const process = world.process(NAME)
    expect(records.at(-1)).toMatchObject({ address: '127.0.0.1:1', pid: process?.pid })
    expect(node.status?.nodeId).toBe(process?.data.id)
    await node.stop(1_000, never)
    expect(node.condition).toBe('stopped')
    expect(world.running.size).toBe(0)
    expect(named('node.exited')).toEqual([])
  })

  test('starts it again when it dies, and says so in one line', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    const first = world.process(NAME)?.pid
    world.kill(NAME)
    await until(() => node.condition === 'down')
    await until(() => node.condition === 'up')
    expect(world.process(NAME)?.pid).not.toBe(first)
    expect(named('node.exited')).toEqual([
      { node: NAME, pid: first, how: 'killed by SIGKILL', next: 'starting it again in 100 ms' },
    ])
    await node.stop(1_000, never)
  })

  test('tells once per process that the node is seeded, and not of one that is well', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    expect(named('node.seeding')).toEqual([])
    world.seeding.add(NAME)
    for (let time = 0; time < 3; time++) {
      world.kick()
      await until(() => node.status?.state === State.SEEDING)
      await new Promise(setImmediate)
    }
    expect(named('node.seeding')).toEqual([{ node: NAME, directory: node.spec.directory }])
    world.kill(NAME)
    await until(() => node.condition === 'down')
    await until(() => node.condition === 'up')
    expect(named('node.seeding')).toHaveLength(2)
    await node.stop(1_000, never)
  })

  test('waits longer each time that it dies again', async () => {
    world.ends.set(NAME, { code: 70 })
    const node = supervise()
    node.start()
    await until(() => node.failures === 4)
    await node.stop(1_000, never)
    const pauses = named('node.exited').map((event) => /in (\d+) ms/.exec((event as { next: string }).next)?.[1])
    expect(pauses.slice(0, 4)).toEqual(['100', '200', '400', '800'])
  })

  test('takes over a process that runs, and leaves it running when it is released', async () => {
    const first = supervise()
    first.start()
    await until(() => first.condition === 'up')
    const { pid } = first
    const second = supervise()
    second.start()
    await until(() => second.condition === 'up')
    expect(second.pid).toBe(pid)
    expect(named('node.adopted')).toHaveLength(1)
    await second.release(1_000, never)
    expect(world.process(NAME)?.pid).toBe(pid)
    await first.release(1_000, never)
    expect(world.running.size).toBe(0)
  })

  test('moves to another port when its own is taken', async () => {
    world.taken.add('127.0.0.1:1')
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    expect(node.address).toBe('127.0.0.1:2')
    expect(records.at(-1)?.address).toBe(node.address)
    expect(moves).toBe(1)
    await node.stop(1_000, never)
  })

  test.each([64, 65, 76])('does not start it again after exit code %i', async (code) => {
    world.ends.set(NAME, { code })
    const node = supervise()
    node.start()
    await until(() => node.condition === 'held')
    expect(named('node.held')).toHaveLength(1)
    await node.stop(1_000, never)
    expect(node.condition).toBe('held')
    expect(named('node.started')).toHaveLength(1)
  })

  test('goes on trying when the system does not let it start', async () => {
    let refusals = 2
    const node = supervise(async (what) => {
      if (what.startsWith('spawn') && refusals-- > 0) throw new Error('too many processes')
    })
    node.start()
    await until(() => node.condition === 'up')
    expect(named('node.failed')).toEqual([
      { node: NAME, reason: 'too many processes', next: 'trying again in 100 ms' },
      { node: NAME, reason: 'too many processes', next: 'trying again in 200 ms' },
    ])
    await node.stop(1_000, never)
  })

  test('kills a node that does not stop in time, and says so', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    world.deaf.add(NAME)
    await node.stop(1_000, never)
    expect(named('node.killed')).toEqual([{ node: NAME, pid: expect.any(Number), afterMs: 1_000 }])
    expect(world.running.size).toBe(0)
  })

  test('leaves a node that nobody can tell to stop, and says why instead of that it was killed', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    world.away.add(NAME)
    await node.stop(1_000, never)
    expect([node.condition, node.reason]).toEqual(['left', 'its machine is away'])
    expect(named('node.killed')).toEqual([])
    expect(world.running.size).toBe(1)
  })

  test('kills a node at once when it must', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    world.deaf.add(NAME)
    const force = new AbortController()
    const stopped = node.stop(1_000_000, force.signal)
    force.abort()
    await stopped
    expect(named('node.killed')).toEqual([])
    expect(world.running.size).toBe(0)
  })

  test('that is stopped while its node starts leaves no process', async () => {
    let spawning: () => void = () => {}
    const reached = new Promise<void>((resolve) => {
      spawning = resolve
    })
    const node = supervise(async (what) => {
      if (what.startsWith('spawn')) spawning()
    })
    node.start()
    await reached
    await node.stop(1_000, never)
    expect(world.running.size).toBe(0)
  })

  test('does not start a member whose directory is gone', async () => {
    isMember = true
    const node = supervise()
    node.start()
    await until(() => node.condition === 'held')
    expect(named('node.held')).toEqual([expect.objectContaining({ how: expect.stringContaining('is gone') })])
    await node.stop(1_000, never)
    expect(world.running.size).toBe(0)
    expect(existsSync(join(folder, 'n'))).toBe(false)
  })

  test.each([
    ['its directory', { directory: '/elsewhere' }, 'directory /elsewhere'],
    ['the shard', { shard: 2 }, 'shard 2'],
    ['the cluster', { clusterId: 'd' }, 'cluster d'],
  ])('does not believe a node of which %s is another', async (_, other, says) => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    const process = world.process(NAME)
    if (process !== undefined) Object.assign(process.data, { spec: { ...process.data.spec, ...other } })
    world.kick()
    await until(() => node.reason.includes(says))
    expect(node.condition).toBe('silent')
    expect(node.reason).toContain('another node listens on 127.0.0.1:1')
    expect([node.status, node.admin]).toEqual([undefined, undefined])
    await node.stop(1_000, never)
  })

  test('takes a silent node for what it is', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    world.mute(NAME)
    await until(() => node.condition === 'silent')
    expect(node.status).toBeUndefined()
    expect(node.reason).toBe('it does not answer')
    await node.stop(1_000, never)
  })
})

describe('a restart', () => {
  const manner = { program: '2.0.0-b', startedFor: 'op' }

  test.each([
    ['of a node that was started here', false],
    ['of a node that was found', true],
  ])('%s ends the process and starts another, and counts as no failure', async (_, found) => {
    const node = supervise()
    const { spec, address } = node
    if (found) await world.driver(async () => {}).spawn(spec, address, [])
    node.start()
    await until(() => node.condition === 'up')
    const before = node.pid
    node.restart(manner, 1_000)
    await until(() => node.condition === 'up' && node.pid !== before)
    expect(world.process(NAME)).toMatchObject({ pid: node.pid, program: '2.0.0-b' })
    expect(node.manner).toEqual(manner)
    const build = 'build of 2.0.0-b'
    expect(records.findLast((record) => record.pid === node.pid)).toMatchObject({ ...manner, build })
    expect(node.failures).toBe(0)
    expect(named('node.exited')).toEqual([])
    expect(named('node.adopted')).toHaveLength(found ? 1 : 0)
    // What it was started with it is started with again.
    world.kill(NAME)
    const second = node.pid
    await until(() => node.condition === 'up' && node.pid !== second)
    expect(world.process(NAME)?.program).toBe('2.0.0-b')
    await node.stop(1_000, never)
  })

  test('starts a held node again, and is over when it is stopped', async () => {
    world.ends.set(NAME, { code: 65 })
    const node = supervise()
    node.start()
    await until(() => node.condition === 'held')
    world.ends.clear()
    node.restart({}, 1_000)
    await until(() => node.condition === 'up')
    await node.stop(1_000, never)
    expect(world.running.size).toBe(0)
    node.restart({}, 1_000)
    expect(node.condition).toBe('stopped')
    expect(world.running.size).toBe(0)
  })

  test('ends the wait for the next try', async () => {
    world.ends.set(NAME, { code: 74 })
    const node = supervise()
    node.start()
    await until(() => node.failures >= 3)
    world.ends.clear()
    node.restart({}, 1_000)
    await until(() => node.condition === 'up')
    expect(node.failures).toBe(0)
    await node.stop(1_000, never)
  })

  test('ends by force what does not end by itself, and gives way to a hold and a stop', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    world.deaf.add(NAME)
    const before = node.pid
    node.restart(manner, 100)
    await until(() => node.condition === 'up' && node.pid !== before)
    expect(named('node.killed')).toHaveLength(1)
    node.restart(manner, 100)
    node.hold('it is somebody else', 'Look.')
    await expect.poll(() => node.pid).toBeUndefined()
    expect(node.condition).toBe('held')
    node.restart(manner, 100)
    await node.stop(100, never)
    expect(world.running.size).toBe(0)
  })

  test('that finds its program broken goes on trying, and a later one is tried with another', async () => {
    const node = supervise()
    node.start()
    await until(() => node.condition === 'up')
    world.broken.set('2.0.0-b', { code: 64 })
    node.restart(manner, 1_000)
    await until(() => node.condition === 'held')
    expect(node.manner).toEqual(manner)
    node.restart({ startedFor: 'op back' }, 1_000)
    await until(() => node.condition === 'up')
    expect(node.manner).toEqual({ program: undefined, startedFor: 'op back' })
    await node.stop(1_000, never)
  })
})
