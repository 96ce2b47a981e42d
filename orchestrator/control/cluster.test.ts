import { setMaxListeners } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { seededRng } from '../core/rng.js'
import { PARTITIONS } from '../core/slot.js'
import type { EventName, Events, Telemetry } from '../telemetry/index.js'
import { Condition } from '../wire/control.js'
import { type Cluster, type Stop, startCluster } from './cluster.js'
import { DataDirectory, nodeName } from './data-directory.js'
import { StartFault } from './faults.js'
import { Registry } from './registry.js'
import type { Shape } from './shape.js'
import { FakeWorld } from './testing/fake-world.js'
import { ScaledClock } from './testing/scaled-clock.js'

let folder: string
let world: FakeWorld
let events: { name: EventName; event: object }[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-cluster-'))
  world = new FakeWorld()
  events = []
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true })
})

const telemetry: Telemetry = {
  enabled: () => true,
  emit: (name: EventName, event: Events[EventName]) => events.push({ name, event }),
}

const never: Stop = { asked: new AbortController().signal, forced: new AbortController().signal }
// Every node of every cluster here listens to them, as it does to those of stop-signals.ts.
setMaxListeners(0, never.asked, never.forced)
const open = async (_: string) => {}

function start(shape: Partial<Shape> = {}, options: { pass?: typeof open; clock?: ScaledClock; stop?: Stop } = {}) {
  const { pass = open, clock = new ScaledClock(), stop = never } = options
  return startCluster(
    {
      directory: new DataDirectory(folder),
      shape,
      driver: world.driver(pass),
      links: world.links(pass),
      telemetry,
      clock,
      rng: seededRng(1),
      pid: 1,
      startTimeoutMs: 60_000,
      stopTimeoutMs: 1_000,
      lingerMs: 1_000,
    },
    stop,
  )
}

async function expectWhole(cluster: Cluster, shape: Shape): Promise<void> {
  const map = cluster.maps.current()
  expect(map.owners).toHaveLength(PARTITIONS)
  expect(map.shards.map(({ id }) => id)).toEqual(Array.from({ length: shape.shards }, (_, at) => at + 1))
  for (const { id, nodes } of map.shards) {
    expect(world.shard(id).ownershipEpoch).toBeGreaterThan(0n)
    expect(nodes).toHaveLength(shape.replicas)
    for (const node of nodes) {
      const process = [...world.running].find((one) => one.address === node.address)
      expect(process?.data.id).toBe(node.id)
      expect(process?.data.members?.map((member) => member.id)).toEqual(nodes.map((member) => member.id))
    }
  }
  expect(world.running.size).toBe((shape.shards + 1) * shape.replicas)
  await vi.waitFor(async () => {
    const nodes = (await cluster.control.status()).groups.flatMap((group) => group.nodes)
    expect(nodes.map(({ condition }) => condition)).toEqual(nodes.map(() => Condition.UP))
  })
}

describe('a start', () => {
  test.each([
    { shards: 1, replicas: 1 },
    { shards: 2, replicas: 2 },
    { shards: 3, replicas: 3 },
  ])('makes a whole cluster of %j', async (shape) => {
    const cluster = await start(shape)
    await expectWhole(cluster, shape)
    await cluster.stop(never.forced)
    expect(world.running.size).toBe(0)
  })

  test('is told of with where each node is, and how much each shard has', async () => {
    const cluster = await start({ shards: 2, replicas: 1 })
    const { groups } = await cluster.control.status()
    expect(groups.map(({ partitions }) => partitions)).toEqual([0, 512, 512])
    expect(groups[1]?.nodes[0]).toMatchObject({ machine: 'localhost', zone: 'localhost' })
    await cluster.stop(never.forced)
  })

  test('again on the same data has the same nodes and the same map', async () => {
    const first = await start({ shards: 2, replicas: 3 })
    const map = first.maps.current()
    await first.stop(never.forced)
    const second = await start()
    expect(second.maps.current()).toEqual(map)
    await expectWhole(second, { shards: 2, replicas: 3 })
    await second.stop(never.forced)
  })

  test('with another shape is refused, saying what is possible', async () => {
    await (await start({ shards: 2, replicas: 1 })).stop(never.forced)
    await expect(start({ shards: 3 })).rejects.toThrow(
      /holds 2 shards x 1 replicas, not 3 x 1: start it with --shards 2 --replicas 1, or choose another --data/,
    )
    await (await start({ shards: 2 })).stop(never.forced)
  })

  test('takes another shape as long as nothing is bootstrapped, and leaves no node of the first one', async () => {
    const noFirst = async (what: string) => {
      if (/^spawn .*node-1$/.test(what)) throw new StartFault('it cannot be started')
    }
    await expect(start({ shards: 3, replicas: 3 }, { pass: noFirst })).rejects.toThrow('cannot be started')
    expect(existsSync(join(folder, 'shard-3', 'node-2'))).toBe(true)
    const cluster = await start({ shards: 1, replicas: 2 })
    await expectWhole(cluster, { shards: 1, replicas: 2 })
    await cluster.stop(never.forced)
    const nodes = ['meta/node-1', 'meta/node-2', 'shard-1/node-1', 'shard-1/node-2']
    const registry = await Registry.open(new DataDirectory(folder), 1)
    expect((await registry.nodes()).map(nodeName).sort()).toEqual(nodes)
    expect(await registry.cluster()).toMatchObject({ shards: 1, replicas: 2 })
    await registry.close()
    expect(existsSync(join(folder, 'shard-3', 'node-2'))).toBe(false)
    expect(existsSync(join(folder, 'shard-1', 'node-3'))).toBe(false)
  })

  test('keeps what was asked for first when nothing else is', async () => {
    const room = vi.spyOn(DataDirectory.prototype, 'expectRoom').mockImplementationOnce(() => {
      throw new StartFault('no room')
    })
    await expect(start({ shards: 2, replicas: 1 })).rejects.toThrow('no room')
    expect(room).toHaveBeenCalledOnce()
    const cluster = await start()
    await expectWhole(cluster, { shards: 2, replicas: 1 })
    await cluster.stop(never.forced)
  })

  test('of a shape that was bootstrapped and never served says what to remove', async () => {
    world.ends.set('shard-1/node-2', { code: 73 })
    await expect(start({ shards: 1, replicas: 2 })).rejects.toThrow('cannot be started')
    await expect(start({ shards: 2 })).rejects.toThrow(
      /holds 1 shards x 2 replicas, not 2 x 2: .*or remove .* never came to its end, so nobody has stored anything in it/,
    )
  })

  test('of nodes whose registry holds no cluster is refused, and starts none', async () => {
    await (await Registry.open(new DataDirectory(folder), 1)).close()
    mkdirSync(join(folder, 'meta', 'node-1'), { recursive: true })
    writeFileSync(join(folder, 'meta', 'node-1', 'identity.json'), '{"cluster":"c9"}')
    await expect(start()).rejects.toThrow(
      `the data directory ${folder} has nodes of cluster c9, but its registry ${folder}/orchestrator is missing or ` +
        'damaged: put it back',
    )
    expect(world.data.size).toBe(0)
    expect(readdirSync(folder).sort()).toEqual(['meta', 'orchestrator'])
  })

  test('fails at once when a node cannot be started, and leaves no process', async () => {
    world.ends.set('shard-1/node-2', { code: 73, lastWords: 'no permission' })
    await expect(start({ shards: 1, replicas: 3 })).rejects.toThrow(
      /shard-1 cannot be started: shard-1\/node-2: exit code 73 \(its directory cannot be used\): no permission/,
    )
    expect(world.running.size).toBe(0)
  })

  test('that ends says which nodes it could not stop', async () => {
    const cluster = await start({ shards: 1, replicas: 2 })
    world.away.add('meta/node-2').add('shard-1/node-1')
    expect(await cluster.stop(never.forced)).toBe('meta/node-2, shard-1/node-1 (its machine is away)')
    expect(world.running.size).toBe(2)
  })

  test('goes on without a damaged node when a majority is left, and says what to do', async () => {
    await (await start({ shards: 1, replicas: 3 })).stop(never.forced)
    world.ends.set('shard-1/node-3', { code: 65, lastWords: 'a record is damaged' })
    const cluster = await start()
    expect((await cluster.control.status()).groups[1]?.nodes[2]).toMatchObject({ condition: Condition.HELD })
    expect(events).toContainEqual({ name: 'node.held', event: expect.objectContaining({ node: 'shard-1/node-3' }) })
    await cluster.stop(never.forced)
  })

  test('goes on without meta when there is a map', async () => {
    const first = await start({ shards: 1, replicas: 3 })
    const map = first.maps.current()
    await first.stop(never.forced)
    for (const node of [1, 2]) world.ends.set(`meta/node-${node}`, { code: 65 })
    const cluster = await start()
    expect(cluster.maps.current()).toEqual(map)
    expect(events.map(({ name }) => name)).toContain('map.stale')
    await cluster.stop(never.forced)
  })

  test('goes on without meta by the last map, with the addresses of now', async () => {
    const first = await start({ shards: 1, replicas: 3 })
    const map = first.maps.current()
    await first.stop(never.forced)
    for (const node of [1, 2]) world.ends.set(`meta/node-${node}`, { code: 65 })
    world.taken.add(map.shards[0]?.nodes[1]?.address ?? '')
    const cluster = await start()
    expect(events.map(({ name }) => name)).toContain('map.stale')
    // One of three is not waited for: the map follows when the node is up.
    await vi.waitFor(() => {
      const address = world.process('shard-1/node-2')?.address
      expect(address).toBeDefined()
      expect(cluster.maps.current().shards[0]?.nodes[1]?.address).toBe(address)
    })
    const now = cluster.maps.current()
    expect(now.shards[0]?.nodes[1]?.address).not.toBe(map.shards[0]?.nodes[1]?.address)
    expect(now.shards[0]?.nodes.map((node) => node.id)).toEqual(map.shards[0]?.nodes.map((node) => node.id))
    expect([now.epoch, now.owners]).toEqual([map.epoch, map.owners])
    await cluster.stop(never.forced)
  })

  test('gives up in time, saying what is missing', async () => {
    const silence = (what: string) => (what.startsWith('watch') ? new Promise<void>(() => {}) : Promise.resolve())
    const failure = await start({ shards: 1, replicas: 1 }, { pass: silence }).catch((error) => error)
    expect(failure.message).toMatch(
      /not ready after 60 s; .*meta.*0 of 1 nodes are up.*shard-1\/node-1: it is starting/,
    )
  })

  test('that is stopped half way leaves no process', async () => {
    const asked = new AbortController()
    const pass = async (what: string) => {
      if (what.startsWith('bootstrap')) asked.abort(new Error('stop'))
    }
    await expect(start({}, { pass, stop: { asked: asked.signal, forced: never.forced } })).rejects.toThrow('stop')
    expect(world.running.size).toBe(0)
  })
})

describe('a cluster that runs', () => {
  test('gets another leader at once when the leader’s process dies', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const { leader, calls } = world.shard(1)
    calls.length = 0
    world.kill(leader?.data.spec.name ?? '')
    await vi.waitFor(() => expect(world.shard(1).leader).toBeDefined())
    const hint = calls.find((call) => call.startsWith('campaign'))
    expect(hint).toBeDefined()
    expect(hint).not.toContain(leader?.data.spec.name)
    await vi.waitFor(() => expect(world.running.size).toBe(6))
    await cluster.stop(never.forced)
  })

  test('tells everybody when a node listens elsewhere', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const before = cluster.maps.current()
    const moved = world.process('shard-1/node-2')
    const epochs: bigint[] = []
    cluster.maps.subscribe(({ epoch }) => epochs.push(epoch - before.epoch))
    world.taken.add(moved?.address ?? '')
    world.kill('shard-1/node-2')
    await vi.waitFor(() => expect(epochs).toEqual([0n, 1n]))
    const map = cluster.maps.current()
    expect(map.owners).toEqual(before.owners)
    const addresses = map.shards[0]?.nodes.map(({ address }) => address)
    await vi.waitFor(() => {
      for (const node of [1, 2, 3]) {
        expect(world.process(`shard-1/node-${node}`)?.peers.map(({ address }) => address)).toEqual(addresses)
      }
    })
    await cluster.stop(never.forced)
    const again = await start()
    expect(again.maps.current()).toEqual(map)
    await again.stop(never.forced)
  })

  test('does not move a node to the address of one that is down', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const [down, moved] = ['shard-1/node-1', 'shard-1/node-2'].map((name) => world.process(name)?.address ?? '')
    world.ends.set('shard-1/node-1', { code: 65 })
    world.kill('shard-1/node-1', { code: 65 })
    world.nextFree.push(down ?? '', '127.0.0.1:9')
    world.taken.add(moved ?? '')
    world.kill('shard-1/node-2')
    await vi.waitFor(() => expect(world.process('shard-1/node-2')?.address).toBe('127.0.0.1:9'))
    await cluster.stop(never.forced)
  })

  test('does not take a node back that has lost its data', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    world.data.delete('shard-1/node-1')
    world.kill('shard-1/node-1')
    await vi.waitFor(() => expect(events.map(({ name }) => name)).toContain('node.held'))
    expect(world.process('shard-1/node-1')).toBeUndefined()
    await cluster.stop(never.forced)
  })

  test('does not bootstrap a member again that has lost its Raft log', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const data = world.data.get('shard-1/node-1')
    if (data !== undefined) data.members = undefined
    world.kill('shard-1/node-1')
    await vi.waitFor(() => expect(events.map(({ name }) => name)).toContain('node.held'))
    expect(data?.members).toBeUndefined()
    await cluster.stop(never.forced)
  })

  test('stops its followers before its leaders', async () => {
    const cluster = await start({ shards: 1, replicas: 3 })
    const { leader, calls } = world.shard(1)
    await cluster.stop(never.forced)
    expect(calls.filter((call) => call.startsWith('end')).at(-1)).toBe(`end ${leader?.data.spec.name}`)
  })
})

describe('an orchestrator that dies', () => {
  /** Starts, and freezes everything of that start when it comes to `step` for the time `at`. Says what that was. */
  async function dieAt(step: string, at: number, shape: Shape): Promise<string | undefined> {
    let left = at
    let died: (what: string) => void = () => {}
    const dead = new Promise<string>((resolve) => {
      died = resolve
    })
    const pass = async (what: string) => {
      if (what.split(' ')[0] === step) left--
      if (left > 0) return
      died(what)
      await new Promise(() => {})
    }
    const registries: Registry[] = []
    const real = Registry.open.bind(Registry)
    vi.spyOn(Registry, 'open').mockImplementation(async (...args) => {
      const registry = await real(...args)
      registries.push(registry)
      for (const name of ['setCluster', 'setNodes', 'setGroup', 'setMap'] as const) {
        const write = registry[name].bind(registry) as (value: unknown) => Promise<void>
        vi.spyOn(registry, name).mockImplementation(async (value: unknown) => {
          await pass(name)
          await write(value)
        })
      }
      return registry
    })
    const clock = new ScaledClock()
    const whole = start(shape, { pass, clock })
    // Whoever has started looks at meta once more, and may die there or while it stops.
    const how = await Promise.race([dead, whole.then((cluster) => cluster.stop(never.forced))])
    clock.stop()
    vi.restoreAllMocks()
    if (how !== undefined) await Promise.all(registries.map((registry) => registry.close()))
    return how ?? undefined
  }

  const steps = [
    'assign',
    'bootstrap',
    'campaign',
    'find',
    'lease',
    'meta',
    'setCluster',
    'setGroup',
    'setMap',
    'setNodes',
  ]
  test.each([...steps, 'setPeers', 'spawn', 'status', 'watch'])(
    'at any %s of the first start is followed by one that finishes it',
    async (step) => {
      const shape = { shards: 1, replicas: 2 }
      for (let at = 1; ; at++) {
        world = new FakeWorld()
        const how = await dieAt(step, at, shape)
        if (how === undefined) {
          expect(at, 'times that it died there').toBeGreaterThan(1)
          break
        }
        const processes = new Set(world.running)
        const cluster = await start(shape)
        await expectWhole(cluster, shape)
        for (const process of processes) expect(world.running, `after ${how}`).toContain(process)
        await cluster.stop(never.forced)
        rmSync(folder, { recursive: true })
      }
    },
  )
})
