import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeCluster } from '../client/testing/fake-cluster.js'
import { NotANumberError } from '../errors/index.js'
import { runCommand } from './program.js'

let cluster: FakeCluster
let [out, warned] = ['', '']
beforeEach(async () => {
  cluster = await FakeCluster.start({})
})
afterEach(() => cluster.close())

/** Gives the exit code; `out` and `warned` are of this one alone. */
function run(...args: string[]): Promise<number> {
  out = ''
  warned = ''
  const context = {
    out: (text: string) => {
      out += text
    },
    warn: (text: string) => {
      warned += text
    },
    colours: false,
    columns: 0,
    version: '0',
  }
  return runCommand([...args, '--address', cluster.gateway.address], {}, context)
}

describe('incr', () => {
  test('adds one, or what is said, and prints the sum', async () => {
    expect([await run('incr', 'n'), out]).toEqual([0, '1\n'])
    expect([await run('incr', 'n', '41'), out]).toEqual([0, '42\n'])
    expect([await run('incr', 'n', '-50'), out]).toEqual([0, '-8\n'])
    expect(await run('incr', 'n', '9223372036854775807', '--json')).toBe(0)
    expect(JSON.parse(out)).toEqual({ ok: true, key: 'n', value: '9223372036854775799' })
  })

  test.each(['1.5', 'x', '', '9223372036854775808', '--5'])('%j is wrong usage, and nothing is sent', async (by) => {
    expect(await run('incr', 'n', by)).toBe(2)
    expect(cluster.leader.operations).toEqual([])
  })

  test('of no number fails, and says that nothing was changed', async () => {
    cluster.leader.answer = (operation) =>
      operation.kind === 'increment'
        ? new NotANumberError("the key's value is no int64 in decimal", { outcome: 'not-applied', version: 1n })
        : cluster.leader.execute(operation)
    expect(await run('incr', 'k')).toBe(3)
    expect(warned).toMatch(/\(NOT_A_NUMBER, not-applied\); nothing was changed\n$/)
  })
})

describe('cas', () => {
  test('by the value, by its absence, by its version', async () => {
    expect([await run('cas', 'k', 'a', '--absent'), out]).toEqual([0, 'ok\n'])
    expect([await run('cas', 'k', 'a', 'b'), out]).toEqual([0, 'ok\n'])
    expect(await run('cas', 'k', 'c', '--if-version', '2', '--json')).toBe(0)
    expect(JSON.parse(out)).toEqual({ ok: true, key: 'k', version: '3' })
    expect([await run('get', 'k'), out]).toEqual([0, 'c\n'])
  })

  test('of another value is told by an exit code of its own', async () => {
    await run('put', 'k', 'a')
    expect([await run('cas', 'k', 'x', 'y'), out]).toEqual([1, ''])
    expect(warned).toMatch(/^kvorum: "k" was not changed: .+\n$/)
    expect(await run('cas', 'k', 'y', '--absent', '--json')).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ ok: false, error: { code: 'PRECONDITION_FAILED', version: '1' } })
    expect([await run('get', 'k'), out]).toEqual([0, 'a\n'])
  })

  test.each([
    ['k'],
    ['k', 'v'],
    ['k', 'a', 'b', '--absent'],
    ['k', 'v', '--absent', '--if-version', '3'],
    ['k', 'v', '--if-version', '0'],
    ['k', 'a', 'b', 'c'],
  ])('cas %s %s %s %s is wrong usage', async (...words) => {
    expect(await run('cas', ...words)).toBe(2)
    expect(cluster.leader.operations).toEqual([])
  })
})

test('delete says whether there was a value', async () => {
  await run('put', 'k', 'v')
  expect([await run('delete', 'k'), out]).toEqual([0, 'ok\n'])
  expect([await run('delete', 'k'), out]).toEqual([0, 'ok, though the key had no value\n'])
  expect([await run('delete', 'k', '--json'), JSON.parse(out)]).toEqual([0, { ok: true, key: 'k', existed: false }])
})
