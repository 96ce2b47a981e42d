import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeCluster } from '../client/testing/fake-cluster.js'
import { runCommand } from './program.js'
import { duration } from './ttl.js'

let cluster: FakeCluster
let out: string
let warned: string

beforeEach(async () => {
  cluster = await FakeCluster.start({})
})
afterEach(() => cluster.close())

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
    ...{ colours: false, columns: 0, version: '1.2.3' },
  }
  return runCommand(args, { KVORUM_ADDRESS: cluster.gateway.address }, context)
}

test('put --ttl, ttl and touch', async () => {
  expect(await run('ttl', 'k')).toBe(1)
  expect(warned).toContain('has no value')
  expect(await run('put', 'k', 'v', '--ttl', '30s')).toBe(0)
  expect([await run('ttl', 'k'), out]).toEqual([0, '30.0s\n'])
  expect([await run('touch', 'k', '--ttl', '250ms'), out]).toEqual([0, 'ok\n'])
  expect([await run('ttl', 'k'), out]).toEqual([0, '250ms\n'])
  expect([await run('ttl', 'k', '--json'), JSON.parse(out)]).toEqual([0, { ok: true, key: 'k', ttlMs: 250 }])
  expect(await run('touch', 'k')).toBe(0)
  expect([await run('ttl', 'k'), out]).toEqual([0, 'for ever\n'])
  expect([await run('touch', 'absent', '--json'), JSON.parse(out)]).toEqual([
    1,
    { ok: true, key: 'absent', existed: false },
  ])
  expect(await run('put', 'k', 'v', '--ttl', 'soon')).toBe(2)
  expect(warned).toContain('a time from 1ms to 3650d is needed')
})

test('times', () => {
  expect(['1ms', '30s', '5m', '2h', '3650d'].map(duration)).toEqual([1, 30_000, 300_000, 7_200_000, 315_360_000_000])
  for (const bad of ['', '5', '0s', '1.5s', '-1s', '3651d', '1w', '1 s'])
    expect(() => duration(bad)).toThrow(/is needed/)
})
