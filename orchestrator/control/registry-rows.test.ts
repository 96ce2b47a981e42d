import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../core/clock.js'
import { type Rng, seededRng } from '../core/rng.js'
import { silent } from '../telemetry/index.js'
import { DataDirectory } from './data-directory.js'
import type { MetaKeys } from './meta-keys.js'
import type { NodeRecord } from './registry.js'
import { Registry } from './registry.js'
import { RegistryCopy } from './registry-copy.js'
import {
  CLUSTER_ROW,
  contentsOf,
  decodeClusterRow,
  decodeGroupRow,
  encodeRow,
  groupRow,
  type Known,
  knownOf,
  readRows,
  stampRows,
} from './registry-rows.js'

const never = new AbortController().signal

describe('rows', () => {
  test.each(Array.from({ length: 50 }, (_, at) => at + 1))('say all that another machine needs, seed %i', (seed) => {
    const known = randomKnown(seededRng(seed))
    const { cluster, groups } = contentsOf(known, 0)
    const row = decodeClusterRow(encodeRow({ ...cluster, id: 'c', whole: true }))
    const rows = groups.map((one) => decodeGroupRow(one.shard, encodeRow({ ...one, id: 'g' })))
    if (row === undefined) throw new TypeError('no row')
    expect(row.last).toBe(Math.max(...known.nodes.map(({ shard }) => shard), known.cluster.shards))
    const pidless = ({ pid: _, startedAt: __, build: ___, ...node }: NodeRecord) => node
    expect(knownOf(row, rows)).toEqual({ ...known, nodes: known.nodes.map(pidless) })
  })

  test('are stamped as far as the first of them names any, the first one first', async () => {
    const stamped: string[] = []
    const shape = { shards: 1, replicas: 1, drained: { nodes: [], machines: [] } }
    const value = encodeRow({ format: 1, id: 'x', clusterId: 'c', ...shape, last: 2, whole: false })
    await stampRows(async (key) => {
      stamped.push(key)
      return { value: key === CLUSTER_ROW ? value : undefined, version: 1n }
    })
    expect(stamped).toEqual([CLUSTER_ROW, groupRow(0), groupRow(1), groupRow(2)])
  })
})

describe('the copy of a registry', () => {
  let folder: string
  let registry: Registry
  let meta: FakeMeta
  let copy: RegistryCopy
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kvorum-copy-'))
    registry = await Registry.open(new DataDirectory(folder), 1)
    meta = new FakeMeta()
    await registry.setCluster({ format: 1, clusterId: 'c', shards: 2, replicas: 1 })
    await registry.setNodes([0, 1, 2].map((shard) => ({ shard, index: 1, machine: 'm1', address: `a:${shard}` })))
    begin()
  })
  afterEach(async () => {
    await copy.close()
    await registry.close()
    rmSync(folder, { recursive: true })
  })

  function begin(): void {
    copy = new RegistryCopy({ registry, store: meta, rng: seededRng(1), clock: systemClock, telemetry: silent })
  }

  test('names groups before it writes them, and is whole when all are there', async () => {
    await copy.settled()
    expect(meta.writes[0]).toBe(CLUSTER_ROW)
    expect(meta.writes.slice(1, 4).sort()).toEqual([0, 1, 2].map(groupRow))
    expect(meta.writes.slice(4)).toEqual([CLUSTER_ROW])
    const rows = await readRows(meta, never)
    expect(rows.cluster).toMatchObject({ whole: true, last: 2 })
    expect([...(await registry.bases()).values()]).toEqual([rows.cluster, ...rows.groups].map((row) => row?.id))
  })

  test('is written where something has changed that others need, and only there', async () => {
    await copy.settled()
    meta.writes.length = 0
    await registry.setNodes([{ shard: 1, index: 1, machine: 'm1', address: 'a:1', pid: 7, startedAt: 8, build: 'b' }])
    await copy.settled()
    expect(meta.writes).toEqual([])
    await registry.setNodes([{ shard: 1, index: 1, machine: 'm1', address: 'b:1', pid: 7 }])
    await copy.settled()
    expect(meta.writes).toEqual([groupRow(1)])
    meta.writes.length = 0
    await registry.setGroup({ shard: 2, members: [{ id: 'x', index: 1 }], bootstrapped: false, lastIndex: 1 })
    await copy.settled()
    expect(meta.writes).toEqual([groupRow(2)])
  })

  test('keeps the rows of groups that have gone, which say nothing', async () => {
    await copy.settled()
    await registry.setCluster({ format: 1, clusterId: 'c', shards: 1, replicas: 1 })
    await registry.forgetGroup(2)
    await copy.settled()
    const { cluster, groups } = await readRows(meta, never)
    expect(cluster).toMatchObject({ shards: 1, last: 2 })
    expect(groups[2]).toMatchObject({ shard: 2, nodes: [] })
    expect(groups[2]?.group).toBeUndefined()
  })

  test.each([1, 2, 3, 4, 5])(
    'cut off before its write number %i is not whole, and the next one makes it so',
    async (at) => {
      meta.lives = at - 1
      await expect(Promise.race([copy.settled(), meta.dead])).rejects.toThrow('dead')
      await copy.close()
      expect((await readRows(meta, never)).cluster?.whole ?? false).toBe(false)
      meta.lives = Number.POSITIVE_INFINITY
      begin()
      await copy.settled()
      const rows = await readRows(meta, never)
      expect(rows.cluster?.whole).toBe(true)
      expect(rows.groups.map((row) => row?.nodes[0]?.address)).toEqual(['a:0', 'a:1', 'a:2'])
    },
  )

  test('waits for what was written last, and does not wait any more when it is closed', async () => {
    await copy.settled()
    meta.lives = 0
    await registry.setNodes([{ shard: 1, index: 1, machine: 'm1', address: 'b:1' }])
    const settled = copy.settled()
    const closing = copy.close()
    await expect(settled).rejects.toThrow('the orchestrator stops')
    await closing
  })
})

/** Meta in memory, whose writer may die: after so many more writes. */
class FakeMeta implements MetaKeys {
  readonly writes: string[] = []
  lives = Number.POSITIVE_INFINITY
  readonly #rows = new Map<string, { value: Uint8Array; version: bigint }>()
  #version = 0n
  #die: (error: Error) => void = () => {}
  readonly dead = new Promise<never>((_, reject) => {
    this.#die = reject
  })

  constructor() {
    // Most tests do not wait for it.
    this.dead.catch(() => {})
  }

  async read(key: string) {
    return this.#rows.get(key) ?? { value: undefined, version: 0n }
  }

  async replace(key: string, value: Uint8Array, version: bigint): Promise<bigint | undefined> {
    if (this.lives-- <= 0) {
      this.#die(new Error('dead'))
      throw new Error('dead')
    }
    if ((this.#rows.get(key)?.version ?? 0n) !== version) return undefined
    this.writes.push(key)
    this.#rows.set(key, { value, version: ++this.#version })
    return this.#version
  }

  remove(): Promise<void> {
    return Promise.reject(new TypeError('nothing is removed here'))
  }
}

function randomKnown(rng: Rng): Known {
  const below = (count: number) => Math.floor(rng.float() * count)
  const perhaps = <T>(value: T) => (rng.float() < 0.5 ? value : undefined)
  const shards = 1 + below(5)
  const groups: Known['groups'][number][] = []
  const nodes: NodeRecord[] = []
  for (let shard = 0; shard <= shards + below(2); shard++) {
    const count = 1 + below(4)
    for (let index = 1; index <= count; index++) {
      const told = { machine: perhaps('m1'), startedFor: perhaps('op back'), left: perhaps(true) }
      const fields = { ...told, pid: perhaps(7), build: perhaps('b') }
      nodes.push({ shard, index, address: `10.0.0.1:${below(9_000)}`, ...given(fields) })
    }
    if (rng.float() < 0.3) continue
    const members = Array.from({ length: count }, (_, at) => ({ id: rng.id(), index: at + 1 }))
    const joining = given({ index: count + 1, id: perhaps(rng.id()), mayVote: perhaps(true) })
    const fields = given({ joining: perhaps(joining as { index: number }), leaving: perhaps(below(3) + 1) })
    groups.push({ shard, members, bootstrapped: rng.float() < 0.5, lastIndex: count + 1, ...fields })
  }
  const drained = { nodes: Array.from({ length: below(3) }, () => rng.id()), machines: ['m1', 'm2'].slice(below(3)) }
  return { cluster: { format: 1, clusterId: rng.id(), shards, replicas: 1 + below(5) }, groups, nodes, drained }
}

function given<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}
