import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DataDirectory } from './data-directory.js'
import { expectRegistry, lostRegistry } from './lost-registry.js'
import { Registry } from './registry.js'

let folder: string
let directory: DataDirectory
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-lost-'))
  directory = new DataDirectory(folder)
})
afterEach(() => rmSync(folder, { recursive: true }))

const line = () =>
  `the data directory ${folder} has nodes of cluster c1, but its registry ${folder}/orchestrator is missing or ` +
  'damaged: put it back'

function makeNode(identity = '{"format":1,"cluster":"c1","shard":2,"node":"n"}\n'): void {
  mkdirSync(join(folder, 'shard-2', 'node-1'), { recursive: true })
  writeFileSync(join(folder, 'shard-2', 'node-1', 'identity.json'), identity)
}

async function makeRegistry(): Promise<void> {
  const registry = await Registry.open(directory, 1)
  await registry.setCluster({ format: 1, clusterId: 'c1', shards: 3, replicas: 3 })
  await registry.close()
}

function everything(): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
}

test('a folder without nodes needs no registry', async () => {
  expectRegistry(new DataDirectory(join(folder, 'absent')))
  mkdirSync(join(folder, 'shard-1', 'node-1'), { recursive: true })
  writeFileSync(join(folder, 'notes'), '')
  expectRegistry(directory)
  expect(lostRegistry(directory)).toBeUndefined()
  await makeRegistry()
})

test('nodes with their registry are fine', async () => {
  await makeRegistry()
  makeNode()
  expectRegistry(directory)
  const registry = await Registry.open(directory, 1)
  expect((await registry.cluster())?.clusterId).toBe('c1')
  await registry.close()
})

describe('nodes are refused, and nothing is written,', () => {
  test.each([
    ['the registry', /./],
    ['CURRENT', /^CURRENT$/],
    ['the manifest', /^MANIFEST-/],
    ['the log', /\.log$/],
  ])('without %s', async (_, gone) => {
    await makeRegistry()
    makeNode()
    for (const name of readdirSync(directory.registry)) if (gone.test(name)) rmSync(join(directory.registry, name))
    if (gone.test('any')) rmSync(directory.registry, { recursive: true })
    const before = everything()
    expect(() => expectRegistry(directory)).toThrow(line())
    await expect(Registry.open(directory, 1)).rejects.toThrow(line())
    expect(everything()).toEqual(before)
  })

  test('until the registry is put back', async () => {
    await makeRegistry()
    makeNode()
    cpSync(directory.registry, `${folder}/aside`, { recursive: true })
    rmSync(join(directory.registry, 'CURRENT'))
    await expect(Registry.open(directory, 1)).rejects.toThrow(line())
    rmSync(directory.registry, { recursive: true })
    cpSync(`${folder}/aside`, directory.registry, { recursive: true })
    await (await Registry.open(directory, 1)).close()
  })
})

test('a registry that level finds damaged is told in the same words', async () => {
  await makeRegistry()
  makeNode()
  writeFileSync(join(directory.registry, 'CURRENT'), 'nonsense')
  await expect(Registry.open(directory, 1)).rejects.toThrow(line())
})

test('a node whose identity cannot be read is a node', () => {
  makeNode('{')
  expect(() => expectRegistry(directory)).toThrow('has nodes of cluster unknown, but')
})
