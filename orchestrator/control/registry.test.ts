import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DataDirectory } from './data-directory.js'
import { StartFault } from './faults.js'
import { Registry } from './registry.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-registry-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('registry', () => {
  test('what was written is there again', async () => {
    const first = await Registry.open(new DataDirectory(folder), 1)
    expect(await first.cluster()).toBeUndefined()
    expect(await first.map()).toBeUndefined()
    await first.setCluster({ format: 1, clusterId: 'c', shards: 3, replicas: 3 })
    await first.setNodes([
      { shard: 0, index: 1, address: 'a:1' },
      { shard: 2, index: 1, address: 'a:2', pid: 7, startedAt: 8 },
    ])
    const group = { shard: 2, members: [{ id: 'x', index: 3 }], bootstrapped: false, lastIndex: 3 }
    await first.setGroup(group)
    await first.setMap(Uint8Array.of(0, 255))
    expect(await first.term()).toBe(0)
    await first.setTerm(7)
    await first.close()

    const again = await Registry.open(new DataDirectory(folder), 1)
    expect(await again.cluster()).toEqual({ format: 1, clusterId: 'c', shards: 3, replicas: 3 })
    expect(await again.nodes()).toEqual([
      { shard: 0, index: 1, address: 'a:1' },
      { shard: 2, index: 1, address: 'a:2', pid: 7, startedAt: 8 },
    ])
    expect(await again.groups()).toEqual([group])
    expect([...((await again.map()) ?? [])]).toEqual([0, 255])
    expect(await again.term()).toBe(7)
    await again.close()
  })

  test('a second owner is refused and told who the first is', async () => {
    const directory = new DataDirectory(folder)
    const first = await Registry.open(directory, 4711)
    await expect(Registry.open(directory, 2)).rejects.toThrow(/in use by the orchestrator with pid 4711/)
    await first.close()
    await (await Registry.open(directory, 2)).close()
  })

  test('what it takes over from meta is all that is true of a node, but for its process', async () => {
    const registry = await Registry.open(new DataDirectory(folder), 1)
    const cluster = { format: 1, clusterId: 'c', shards: 1, replicas: 1 } as const
    const node = { shard: 1, index: 1, machine: 'm1', address: 'a:1' }
    await registry.setNodes([{ ...node, pid: 7, startedAt: 8, startedFor: 'x', left: true }])
    const known = { cluster, groups: [], nodes: [node], drained: { nodes: [], machines: [] } }
    await registry.adopt({ known, bases: new Map(), term: 2, map: Uint8Array.of(1) })
    expect(await registry.nodes()).toEqual([{ ...node, pid: 7, startedAt: 8 }])
    await registry.close()
  })

  test('data of a newer version is refused', async () => {
    const registry = await Registry.open(new DataDirectory(folder), 1)
    await registry.setCluster({ format: 2 as 1, clusterId: 'c', shards: 1, replicas: 1 })
    await expect(registry.cluster()).rejects.toThrow(StartFault)
    await registry.close()
  })
})

describe('data directory', () => {
  test('is made when absent', () => {
    new DataDirectory(join(folder, 'a', 'b')).prepare()
    new DataDirectory(join(folder, 'a', 'b')).prepare()
  })

  test.each([
    ['a file', 'file'],
    ['below a file', 'file/data'],
  ])('%s is refused in one line', (_, path) => {
    writeFileSync(join(folder, 'file'), '')
    const given = join(folder, path)
    expect(() => new DataDirectory(given).prepare()).toThrow(
      `the data directory ${given} is not a directory: a file is in the way`,
    )
  })

  test('a file where the registry should be is refused', async () => {
    writeFileSync(join(folder, 'orchestrator'), '')
    await expect(Registry.open(new DataDirectory(folder), 1)).rejects.toThrow(StartFault)
  })

  test('too little room for new nodes is told before they are started', () => {
    const directory = new DataDirectory(folder)
    directory.expectRoom(1)
    expect(() => directory.expectRoom(1e12)).toThrow(/new nodes need .* MiB to begin with: make room/)
  })

  test('names its nodes', () => {
    mkdirSync(join(folder, 'meta'))
    const directory = new DataDirectory(folder)
    expect(directory.node({ shard: 0, index: 1 })).toBe(join(folder, 'meta', 'node-1'))
    expect(directory.node({ shard: 12, index: 3 })).toBe(join(folder, 'shard-12', 'node-3'))
  })
})
