import { expect, test } from 'vitest'
import type { DrainedRecord, Registry } from '../registry.js'
import { Drains, isDrained, type Known, withDrain } from './drains.js'

const EMPTY: DrainedRecord = { nodes: [], machines: [] }

function known(shard: number, index: number, machine: string): Known {
  return { place: { shard, index }, name: `shard-${shard}/node-${index}`, id: `id-${shard}-${index}`, machine }
}

const ALL = [known(1, 1, 'm1'), known(1, 2, 'm2'), known(2, 1, 'm1')]

test('nothing takes effect before it is durable, nor when it could not be written; changes follow one another', async () => {
  const writes: { readonly record: DrainedRecord; readonly done: () => void; readonly failed: (why: Error) => void }[] =
    []
  const registry: Pick<Registry, 'drained' | 'setDrained'> = {
    drained: async () => EMPTY,
    setDrained: (record) => new Promise((done, failed) => void writes.push({ record, done, failed })),
  }
  const drains = await Drains.open(registry)
  const first = drains.change((now) => ({ ...now, machines: [...now.machines, 'm1'] }))
  const second = drains.change((now) => ({ ...now, machines: [...now.machines, 'm2'] }))
  const third = drains.change((now) => ({ ...now, machines: [...now.machines, 'm3'] }))
  await expect.poll(() => writes.length).toBe(1)
  expect(drains.now).toEqual(EMPTY)
  writes[0]?.done()
  await first
  expect(drains.now.machines).toEqual(['m1'])
  await expect.poll(() => writes.length).toBe(2)
  writes[1]?.failed(new Error('disk full'))
  await expect(second).rejects.toThrow('disk full')
  expect(drains.now.machines).toEqual(['m1'])
  await expect.poll(() => writes.length).toBe(3)
  writes[2]?.done()
  await third
  expect(drains.now.machines).toEqual(['m1', 'm3'])
  // What is so already is not written.
  await drains.change((now) => now)
  expect(writes).toHaveLength(3)
})

test('a node is remembered by its id, by which it is never another one, and forgotten when it is no more', () => {
  const record = withDrain(EMPTY, { node: 'shard-1/node-2' }, false, ALL)
  expect(record).toEqual({ nodes: ['id-1-2'], machines: [] })
  expect(ALL.filter((one) => isDrained(record, one)).map(({ name }) => name)).toEqual(['shard-1/node-2'])
  expect(withDrain(record, { node: 'id-1-2' }, false, ALL)).toBe(record)
  const replaced = { ...known(1, 2, 'm2'), id: 'another' }
  expect(isDrained(record, replaced)).toBe(false)
  const later = withDrain(record, { machine: 'm1' }, false, [known(1, 1, 'm1'), replaced])
  expect(later).toEqual({ nodes: [], machines: ['m1'] })
})

test('a machine is all of its nodes, whenever they came; undone it is none of them', () => {
  const record = withDrain(EMPTY, { machine: 'm1' }, false, ALL)
  expect(isDrained(record, known(9, 9, 'm1'))).toBe(true)
  expect(isDrained(record, known(1, 2, 'm2'))).toBe(false)
  expect(withDrain(record, { machine: 'm1' }, true, ALL)).toEqual(EMPTY)
  // A node of it that was drained by itself stays so.
  const both = withDrain(record, { node: 'shard-2/node-1' }, false, ALL)
  expect(withDrain(both, { machine: 'm1' }, true, ALL)).toEqual({ nodes: ['id-2-1'], machines: [] })
})
