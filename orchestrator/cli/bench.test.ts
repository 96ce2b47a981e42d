import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeCluster } from '../client/testing/fake-cluster.js'
import { UnsupportedError } from '../errors/index.js'
import { figuresOf } from './bench.js'
import { runCommand } from './program.js'

let cluster: FakeCluster
let out = ''
beforeEach(async () => {
  cluster = await FakeCluster.start({})
  out = ''
})
afterEach(() => cluster.close())

function run(...args: string[]): Promise<number> {
  const context = {
    out: (text: string) => {
      out += text
    },
    warn: () => {},
    colours: false,
    columns: 0,
    version: '0',
  }
  return runCommand(['bench', '--seconds', '0.2', ...args, '--address', cluster.gateway.address], {}, context)
}

test('a load of gets and puts, and nothing of it is left', async () => {
  expect(await run('--clients', '4', '--keys', '10', '--gets', '50', '--json')).toBe(0)
  const { get, put, failed, seconds } = JSON.parse(out) as Awaited<ReturnType<typeof JSON.parse>>
  expect(seconds).toBeGreaterThanOrEqual(0.2)
  expect(get.done).toBeGreaterThan(0)
  expect(put.done).toBeGreaterThan(0)
  expect(get.p50).toBeLessThanOrEqual(get.max)
  expect(failed).toEqual({})
  expect(cluster.leader.operations.filter(({ kind }) => kind === 'delete')).toHaveLength(10)
})

test('gets alone, as a table', async () => {
  expect(await run('--clients', '2', '--keys', '3', '--gets', '100', '--value-bytes', '9')).toBe(0)
  expect(out).toMatch(/│ put +│ 0 +│ 0 +│ +│ +│ +│ +│/)
  expect(out).toMatch(/2 clients in one process, 9-byte values, 3 keys, 0\.\d s\n$/)
})

test('what fails is counted by its code, and is no success', async () => {
  let puts = 0
  cluster.leader.answer = (operation) => {
    if (operation.kind !== 'put' || ++puts <= 3) return cluster.leader.execute(operation)
    return new UnsupportedError('not here', { outcome: 'not-applied' })
  }
  expect(await run('--clients', '2', '--keys', '3', '--gets', '0', '--json')).toBe(3)
  expect(JSON.parse(out)).toMatchObject({
    put: { done: 0, p99: null },
    failed: { UNSUPPORTED: expect.any(Number) },
  })
})

test('a load that cannot be made ready leaves nothing', async () => {
  let puts = 0
  cluster.leader.answer = (operation) => {
    if (operation.kind !== 'put' || ++puts !== 3) return cluster.leader.execute(operation)
    return new UnsupportedError('not here', { outcome: 'not-applied' })
  }
  expect(await run('--keys', '10')).toBe(3)
  expect(puts).toBe(10)
  expect(cluster.rows.size).toBe(0)
})

test.each([
  ['--clients', '0'],
  ['--seconds', 'x'],
  ['--gets', '101'],
  ['--value-bytes', '9000000'],
])('%s %s is wrong usage', async (...args) => {
  expect(await run(...args)).toBe(2)
})

test('percentiles are of what was measured', () => {
  const ms = Array.from({ length: 100 }, (_, at) => 100 - at)
  expect(figuresOf(ms, 2)).toEqual({ done: 100, perSecond: 50, p50: 50, p95: 95, p99: 99, max: 100 })
  expect(figuresOf([], 1)).toMatchObject({ done: 0, p50: null, max: null })
  expect(figuresOf([7], 1)).toMatchObject({ p50: 7, p99: 7, max: 7 })
})
