import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DataDirectory } from '../data-directory.js'
import { StartFault } from '../faults.js'
import { wireLinks } from '../links.js'
import { ELSEWHERE, THIS_MACHINE } from '../machines.js'
import { type Driver, isAt, type NodeProcess, type NodeSpec } from './driver.js'
import { localDriver } from './local.js'
import { staticDriver } from './static.js'
import { readNodes } from './static-nodes.js'

// The program that `npm test` builds before it runs this.
const PROGRAM = join(import.meta.dirname, '..', '..', '..', 'dist', 'bin', 'kvnode')
const NAME = 'shard-1/node-1'
const settings = { logLevel: 'info', valueBytesMax: 1024 }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-static-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('nodes that somebody else has started', () => {
  const local = localDriver({ program: PROGRAM, flags: [] })
  let address: string
  let started: NodeProcess
  let driver: Driver
  let spec: NodeSpec
  beforeEach(async () => {
    address = await local.freeAddress(THIS_MACHINE, { shard: 1, index: 1 })
    spec = { shard: 1, index: 1, name: NAME, clusterId: 'c1', machine: ELSEWHERE, directory: '', ofNodes: 1 }
    started = await start()
    driver = staticDriver({ nodes: { [NAME]: address } }, settings)
  })
  afterEach(async () => {
    started.signal('SIGKILL')
    await started.exited
  })

  async function start(): Promise<NodeProcess> {
    const process = await local.spawn({ ...spec, machine: THIS_MACHINE, directory: join(folder, 'own') }, address, [])
    await vi.waitFor(async () => {
      const link = wireLinks().node(address, { cluster: 'c1', shard: 1 })
      await link.status({ deadlineMs: 500 }).finally(() => link.close())
    }, 10_000)
    return process
  }

  test('are found where the list has them, whatever their directory', async () => {
    expect(await driver.find(spec, { address: 'elsewhere:1' })).toMatchObject({ pid: started.pid, adopted: true })
    expect(isAt(join(folder, 'own'), spec)).toBe(true)
    expect(await driver.holds(spec)).toBe(true)
    const [machine = { name: '' }] = await driver.machines(3)
    expect(driver.directoryOf(spec, machine.name, new DataDirectory(folder))).toBe('')
    expect(await driver.freeAddress(machine.name, spec)).toBe(address)
  })

  test.each([{ clusterId: 'c2' }, { shard: 2, name: NAME }])('are not taken for nodes of %j', async (other) => {
    const list = { nodes: { [NAME]: address, 'shard-2/node-1': address } }
    expect(await staticDriver(list, settings).find({ ...spec, ...other }, { address })).toBeUndefined()
  })

  test('are gone when nobody listens there, or another process does', async () => {
    const found = await driver.find(spec, { address })
    const again = await driver.find(spec, { address })
    started.signal('SIGKILL')
    await started.exited
    found?.check()
    expect((await found?.exited)?.lastWords).toContain('nobody listens')
    expect(await driver.find(spec, { address })).toBeUndefined()
    started = await start()
    again?.check()
    expect(await again?.exited).toBeDefined()
    expect(await driver.find(spec, { address })).toMatchObject({ pid: started.pid })
  })

  test('are left alone', async () => {
    const found = await driver.find(spec, { address })
    found?.check()
    found?.signal('SIGKILL')
    expect((await found?.exited)?.left).toContain('left to whoever has started it')
    await expect(driver.remove(spec)).rejects.toThrow(`stop it and remove ${join(folder, 'own')}`)
    expect(await driver.find(spec, { address })).toMatchObject({ pid: started.pid })
  })

  test('are forgotten when they are taken off the list', async () => {
    const without = staticDriver({ nodes: {} }, settings)
    expect(await without.find(spec, { address })).toBeUndefined()
    await without.remove(spec)
    expect(await driver.find(spec, { address })).toMatchObject({ pid: started.pid })
  })

  test('cannot be started, but it is said how', async () => {
    const nodes = { [NAME]: '10.0.0.5:7201' }
    const remote = staticDriver({ nodes }, settings)
    await expect(remote.spawn(spec, nodes[NAME] ?? '', [{ id: 'n2', address: '10.0.0.6:7201' }])).rejects.toThrow(
      'kvnode --data ./data/shard-1/node-1 --cluster c1 --shard 1 --listen 10.0.0.5:7201 --peers n2=10.0.0.6:7201 ' +
        '--insecure --log-level info --value-max-bytes 1024',
    )
    expect(() => remote.expectRoom([{ shard: 2, index: 1 }], new DataDirectory(folder))).toThrow(
      /has no shard-2\/node-1/,
    )
    expect(() => remote.directoryOf(spec, 'm1', new DataDirectory(folder))).toThrow(/was started on m1/)
  })
})

describe('a list of nodes', () => {
  const read = (content: string) => {
    writeFileSync(join(folder, 'nodes.json'), content)
    return readNodes(join(folder, 'nodes.json'))
  }

  test('is read', () => {
    const list = { cluster: 'c1', nodes: { 'meta/node-1': 'a:1', 'shard-1/node-1': '[::1]:2' } }
    expect(read(JSON.stringify(list))).toEqual(list)
  })

  test.each([
    ['is absent', undefined, /--nodes .*absent: there is no such file$/],
    ['is not JSON', '{', /nodes.json is not JSON: /],
    ['is no object', '[]', /nodes.json is no list of nodes: it is no object. It is like /],
    ['is empty', '{}', /: "nodes" must be an object with the address of each node by its name. It is like /],
    [
      'names no node',
      '{"nodes": {"shard-0/node-1": "a:1"}}',
      /: "nodes", "shard-0\/node-1": a name is like meta\/node-1/,
    ],
    ['has no port', '{"nodes": {"meta/node-1": "a"}}', /: "nodes", "meta\/node-1": an address is host:port. It/],
    [
      'says more',
      '{"nodes": {}, "zone": "z", "cluster": ""}',
      /"cluster" must be 1 to 64 letters.*; "zone" means nothing there/,
    ],
    ['has an address twice', '{"nodes": {"meta/node-1": "a:1", "meta/node-2": "a:1"}}', /names the address a:1 twice/],
  ])('that %s is refused', (_, content, says) => {
    const reading = () => (content === undefined ? readNodes(join(folder, 'absent')) : read(content))
    expect(reading).toThrow(StartFault)
    expect(reading).toThrow(says)
  })
})
