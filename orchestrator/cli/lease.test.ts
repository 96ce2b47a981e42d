import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeCluster } from '../client/testing/fake-cluster.js'
import { runCommand } from './program.js'

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

test('a lease is made, given a key, kept alive and revoked', async () => {
  expect(await run('lease', 'grant', '--ttl', '30s')).toBe(0)
  const id = out.trim()
  expect(id).toMatch(/^[0-9a-f]{32}$/)
  expect([await run('put', 'k', 'v', '--lease', id), out]).toEqual([0, 'ok\n'])
  expect([await run('lease', 'keep-alive', id, '--once'), out]).toEqual([0, 'it lives for 30s from now on\n'])
  // Somebody else's tool may have written it otherwise.
  const loud = id.toUpperCase()
  expect([await run('put', 'k2', 'v', '--lease', loud), out]).toEqual([0, 'ok\n'])
  expect([await run('lease', 'keep-alive', loud, '--once', '--json'), JSON.parse(out)]).toEqual([
    0,
    { ok: true, lease: id, ttlMs: 30_000 },
  ])
  expect([await run('lease', 'revoke', id, '--json'), JSON.parse(out)]).toEqual([
    0,
    { ok: true, lease: id, existed: true },
  ])
  expect(await run('get', 'k')).toBe(1)
  expect([await run('lease', 'revoke', id), warned]).toEqual([1, 'kvorum: there is nothing of this lease\n'])
  expect(await run('lease', 'keep-alive', id)).toBe(1)
  expect([await run('put', 'k', 'v', '--lease', id), warned]).toEqual([
    3,
    expect.stringMatching(/LEASE_NOT_FOUND, not-applied\); nothing was changed\n$/),
  ])
  expect([await run('lease', 'grant', '--ttl', '5s', '--json'), JSON.parse(out)]).toMatchObject([0, { ttlMs: 5_000 }])
})

test('wrong usage', async () => {
  const id = 'ab'.repeat(16)
  for (const bad of [
    ['lease', 'grant'],
    ['lease', 'grant', id, '--ttl', '5s'],
    ['lease', 'revoke'],
    ['lease', 'keep-alive', 'x'],
    ['lease', 'steal', id],
    ['put', 'k', 'v', '--lease', 'x'],
  ]) {
    expect(await run(...bad)).toBe(2)
  }
})
