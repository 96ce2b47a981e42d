import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest'
import { CrossShardError, InvalidArgumentError, NotANumberError, TooLargeError } from '../errors/index.js'
import { FakeNode } from '../wire/testing/fake-node.js'
import type { Appended, Deleted, Stored } from './batch.js'
import { KvClient } from './kv-client.js'
import { type Op, op } from './transaction.js'
import type { Hit } from './values.js'

let node: FakeNode
let kv: KvClient

beforeEach(async () => {
  node = await FakeNode.start()
  kv = await KvClient.connect({ endpoints: [node.address] })
})
afterEach(async () => {
  await kv.close()
  await node.close()
})

test('the branch that runs, and what each of its operations gives', async () => {
  const counted = () =>
    kv
      .txn()
      .if('{u}state', 'exists', '==', true)
      .if('{u}n', 'version', '<', 3)
      .then(op.increment('{u}n'), op.get('{u}state'), op.append('{u}log', '!'), op.delete('{u}state'))
      .else(op.put('{u}state', 'new'), op.get('{u}n'))
      .run()
  const first = await counted()
  expect(first).toEqual({ succeeded: false, results: [{ version: 1n }, null] })
  const second = await counted()
  if (!second.succeeded) throw new Error('every condition holds')
  const [sum, state, log, gone] = second.results
  expectTypeOf(second.results).toEqualTypeOf<[bigint, Hit | null, Appended, Deleted]>()
  expectTypeOf(first.succeeded ? null : first.results).toEqualTypeOf<[Stored, Hit | null] | null>()
  expect([sum, state?.text(), log, gone]).toEqual([1n, 'new', { version: 1n, length: 1 }, { existed: true }])
})

test.each([
  ['version', '==', 2n, true],
  ['version', '!=', 2n, false],
  ['version', '<', 3, true],
  ['version', '>', 2, false],
  ['value', '==', 'w', true],
  ['value', '!=', 'w', false],
  ['value', '==', 'v', false],
  ['exists', '==', true, true],
  ['exists', '!=', true, false],
])('a condition on the %s: %s %s', async (what, comparison, operand, holds) => {
  await kv.put('k', 'v')
  await kv.put('k', 'w')
  const condition = ['k', what, comparison, operand] as unknown as ['k', 'exists', '==', boolean]
  const { succeeded } = await kv
    .txn()
    .if(...condition)
    .run()
  expect(succeeded).toBe(holds)
})

test('it is one operation of one message, numbered as a write', async () => {
  await kv.put('warm', 'up')
  node.messages.length = 0
  await kv.txn().then(op.put('{a}1', 'v'), op.put('{a}2', 'v')).run()
  expect(node.operations.map(({ kind }) => kind)).toEqual(['transaction'])
  expect(node.messages[0]?.stamps[0]?.sequence).toBe(2n)
})

test('what each node would refuse is refused here', async () => {
  await kv.put('warm', 'up')
  node.messages.length = 0
  const put = (key: string, length = 1) => op.put(key, Buffer.alloc(length))
  const many = Array.from({ length: 129 }, () => put('k'))
  const failing = async (ops: readonly Op[]) =>
    kv
      .txn()
      .then(...ops)
      .run()
      .catch((error: unknown) => error)
  expect(await failing([put('a'), put('b')])).toBeInstanceOf(CrossShardError)
  expect(await failing([put('a'), put('b')])).toMatchObject({
    outcome: 'not-applied',
    message: expect.stringMatching(/keys a and b .* hash tag/),
  })
  expect(await failing(many)).toBeInstanceOf(TooLargeError)
  expect(await failing([put('k', 512 << 10)])).toBeInstanceOf(TooLargeError)
  expect(await failing([])).toBeInstanceOf(InvalidArgumentError)
  expect(await failing([put('')])).toBeInstanceOf(InvalidArgumentError)
  expect(await kv.txn().if('b', 'exists', '==', true).else(put('a')).run().catch(String)).toContain('CrossShardError')
  expect(node.messages).toEqual([])
})

test('the operation that failed it is named', async () => {
  node.answer = (operation) =>
    operation.kind === 'transaction'
      ? new NotANumberError('no number', { outcome: 'not-applied', version: 3n, operation: 2 })
      : node.execute(operation)
  const failing = kv.txn().then(op.get('n'), op.increment('n')).run()
  await expect(failing).rejects.toMatchObject({ code: 'NOT_A_NUMBER', version: 3n, operation: 2 })
})

test('mistakes of the program are TypeErrors', async () => {
  const start = kv.txn() as unknown as { if: (...what: unknown[]) => unknown; then: (...ops: unknown[]) => unknown }
  expect(() => start.if('k', 'value', '<', 'v')).toThrow(TypeError)
  expect(() => start.if('k', 'version', '==', -1)).toThrow(TypeError)
  expect(() => start.if('k', 'version', '==', '1')).toThrow(TypeError)
  expect(() => start.if('k', 'exists', '==', 'yes')).toThrow(TypeError)
  expect(() => start.if('k', 'size', '==', 1)).toThrow(TypeError)
  expect(() => start.if('k', 'version', '>=', 1)).toThrow(TypeError)
  expect(() => start.then({ kind: 'put' })).toThrow(TypeError)
  const awaited = kv.txn() as unknown as PromiseLike<unknown>
  await expect(Promise.resolve(awaited)).rejects.toThrow('run() carries a transaction out')
})

test.each([0, -1, 1.5, Number.NaN, 2 ** 64])(
  'a time to live of %s is refused before anything is sent',
  async (ttlMs) => {
    const put = kv
      .txn()
      .then(op.put('k', 'v', { ttlMs }))
      .run()
    await expect(put).rejects.toThrow(InvalidArgumentError)
    await expect(kv.put('k', 'v', { ttlMs })).rejects.toThrow(InvalidArgumentError)
    expect(await kv.get('k')).toBeNull()
  },
)

test('a version that no key can have is a TypeError', () => {
  expect(() => kv.txn().if('k', 'version', '==', 2n ** 64n)).toThrow(TypeError)
})
