import { expect, test } from 'vitest'
import { FakeMetaKeys } from '../testing/fake-meta-keys.js'
import { Journal, readOperations } from './journal.js'
import type { OperationRecord } from './record.js'
import type { ReshardRecord } from './reshard-record.js'

const signal = new AbortController().signal

function journalOn(store: FakeMetaKeys): Journal {
  return new Journal(store)
}

function operation(id: string, state: OperationRecord['state'] = 'running'): ReshardRecord {
  const flags = { paused: false, turned: false, retiring: false }
  return {
    format: 1,
    kind: 'reshard',
    id,
    fromShards: 1,
    toShards: 2,
    state,
    ...flags,
    begunAt: 5,
    endedAt: 0,
    moves: [],
  }
}

test('what was written is there for the next one, newest first', async () => {
  const store = new FakeMetaKeys()
  const first = journalOn(store)
  await first.create(operation('a'), signal)
  await first.update('a', (now) => ({ ...now, state: 'done', endedAt: 9 }), signal)
  await first.create(operation('b'), signal)
  const second = journalOn(store)
  expect(await second.load(signal)).toEqual([operation('b'), { ...operation('a', 'done'), endedAt: 9 }])
  expect(second.operations).toEqual(first.operations)
})

test('one that has not ended is given in the place of another', async () => {
  const journal = journalOn(new FakeMetaKeys())
  const both = await Promise.all(['a', 'b'].map((id) => journal.create(operation(id), signal)))
  expect(both.map(({ id }) => id)).toEqual(['a', 'a'])
  expect(journal.operations).toEqual([operation('a')])
})

test('what works on keys goes on beside what changes the cluster, one of each', async () => {
  const journal = journalOn(new FakeMetaKeys())
  const { fromShards: _, toShards: __, turned: ___, retiring: ____, moves: _____, ...common } = operation('a')
  const deletion = (id: string): OperationRecord => {
    return { ...common, id, kind: 'delete-prefix', prefix: 'YTo=', again: false, deleted: 0, passed: 0 }
  }
  const given = [operation('a'), deletion('b'), operation('c'), deletion('d')]
  const all = await Promise.all(given.map((one) => journal.create(one, signal)))
  expect(all.map(({ id }) => id)).toEqual(['a', 'b', 'a', 'b'])
})

test('an epoch is never given twice, whoever asks, and is above every map', async () => {
  const store = new FakeMetaKeys()
  const given = [await journalOn(store).nextEpoch(7n, signal), await journalOn(store).nextEpoch(3n, signal)]
  const journal = journalOn(store)
  given.push(...(await Promise.all([journal.nextEpoch(0n, signal), journal.nextEpoch(20n, signal)])))
  expect(given).toEqual([8, 9, 10, 21])
})

test('the last 20 that have ended are kept, and nothing else lies in meta', async () => {
  const store = new FakeMetaKeys()
  const journal = journalOn(store)
  for (let at = 0; at < 30; at++) {
    await journal.create(operation(`o${at}`), signal)
    await journal.update(`o${at}`, (now) => ({ ...now, state: 'done' }), signal)
  }
  const ids = Array.from({ length: 20 }, (_, at) => `o${29 - at}`)
  expect(journal.operations.map(({ id }) => id)).toEqual(ids)
  expect([...store.rows.keys()].sort()).toEqual(['operations', ...ids.map((id) => `operation/${id}`)].sort())
})

test('whichever write is the last of its orchestrator, the next one reads a whole journal', async () => {
  for (let at = 1; ; at++) {
    const store = new FakeMetaKeys()
    const old = journalOn(store)
    for (let count = 0; count < 20; count++) await old.create(operation(`o${count}`, 'done'), signal)
    let left = at
    store.cut = () => (left-- === 1 ? (at % 2 === 0 ? 'before' : 'after') : undefined)
    const failed = await old.create(operation('new', 'done'), signal).then(
      () => false,
      () => true,
    )
    store.cut = () => undefined
    const found = await journalOn(store).load(signal)
    expect(found.length).toBeGreaterThanOrEqual(19)
    // The same one goes on as well: it reads again.
    expect(await old.load(signal)).toEqual(found)
    await old.create(operation('later'), signal)
    expect(old.operations[0]?.id).toBe('later')
    expect([...store.rows.keys()].filter((key) => key.startsWith('operation/')).length).toBeLessThanOrEqual(22)
    if (!failed) break
  }
})

test('an operation that is written after its orchestrator died, and others have looked, is none', async () => {
  const store = new FakeMetaKeys()
  store.cut = (what) => (what === 'replace operation/a' ? 'before' : undefined)
  await expect(journalOn(store).create(operation('a'), signal)).rejects.toThrow('cut off')
  store.cut = () => undefined
  const next = journalOn(store)
  expect(await next.load(signal)).toEqual([])
  await store.replace('operation/a', Buffer.from(JSON.stringify(operation('a'))), 0n)
  expect(await journalOn(store).load(signal)).toEqual([])
  await next.create(operation('b'), signal)
  expect(await journalOn(store).load(signal)).toEqual([operation('b')])
})

test('a debt is there for the next one, once, until it is forgiven', async () => {
  const store = new FakeMetaKeys()
  const debt = { shard: 2, epoch: 7, partitions: [{ first: 1, last: 3 }] }
  const journal = journalOn(store)
  for (let again = 0; again < 2; again++) await journal.owe(debt, signal)
  const next = journalOn(store)
  await next.load(signal)
  expect(next.debts).toEqual([debt])
  await next.forgive(debt, signal)
  const last = journalOn(store)
  await last.load(signal)
  expect(last.debts).toEqual([])
})

test('a late write of somebody else is not written over', async () => {
  const store = new FakeMetaKeys()
  const [mine, other] = [journalOn(store), journalOn(store)]
  await mine.create(operation('a'), signal)
  await other.load(signal)
  await other.update('a', (now) => ({ ...now, paused: true }), signal)
  await expect(mine.update('a', (now) => ({ ...now, state: 'done' }), signal)).rejects.toThrow('by somebody else')
  expect(await mine.load(signal)).toEqual([{ ...operation('a'), paused: true }])
})

test('an operation from when there was only one kind is read as what it was', async () => {
  const store = new FakeMetaKeys()
  await journalOn(store).create(operation('a'), signal)
  const { kind: _, ...old } = operation('a')
  store.rows.set('operation/a', { value: Buffer.from(JSON.stringify(old)), version: 1n })
  const journal = journalOn(store)
  expect(await journal.load(signal)).toEqual([operation('a')])
  await journal.update('a', (now) => ({ ...now, paused: true }), signal)
  expect(await journalOn(store).load(signal)).toEqual([{ ...operation('a'), paused: true }])
})

test('what this version cannot read is told, and nothing that could not be read is written', async () => {
  const store = new FakeMetaKeys()
  await journalOn(store).create(operation('a'), signal)
  const broken = { ...operation('a'), endedAt: 1.5 }
  await expect(journalOn(store).update('a', () => broken, signal)).rejects.toThrow()
  expect(await journalOn(store).load(signal)).toEqual([operation('a')])
  store.rows.set('operation/a', { value: Buffer.from('{"format":2}'), version: 9n })
  await expect(journalOn(store).load(signal)).rejects.toThrow(
    /operation\/a in meta cannot be read by this version: format/,
  )
})

test('whoever only looks writes nothing, also when the index names what was never written', async () => {
  const store = new FakeMetaKeys()
  const journal = journalOn(store)
  await journal.create({ ...operation('a'), state: 'done' }, signal)
  store.cut = (what) => (what === 'replace operation/b' ? 'before' : undefined)
  await expect(journal.create(operation('b'), signal)).rejects.toThrow('cut off')
  store.cut = (what) => {
    throw new Error(`a reader does: ${what}`)
  }
  expect((await readOperations(store, signal)).map(({ id }) => id)).toEqual(['a'])
})
