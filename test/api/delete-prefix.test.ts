// Prefixes are deleted on a real cluster, by every way that the README names, and by whoever runs it after a kill -9.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { runCommand } from '../../orchestrator/cli/program.js'
import { KvClient } from '../../orchestrator/client/index.js'
import { DeadlineExceededError, InvalidArgumentError } from '../../orchestrator/errors/index.js'
import { Cluster } from '../harness/cluster.js'

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2, replicas: 1 })
})
afterAll(() => cluster?.dispose())

const clients: KvClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

async function connect(mode: 'direct' | 'gateway' | 'auto' = 'auto'): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: [cluster.address], mode, deadlineMs: 30_000 })
  clients.push(client)
  return client
}

async function fill(client: KvClient, prefix: string, count: number): Promise<void> {
  const batch = client.batch<unknown[] & never[]>()
  for (let at = 0; at < count; at++) batch.put(`${prefix}${String(at).padStart(5, '0')}`, 'x')
  await batch.run()
}

describe.each(['direct', 'gateway', 'auto'] as const)('mode %s', (mode) => {
  test('every key with the prefix is gone, and no other', async () => {
    const client = await connect(mode)
    await fill(client, `${mode}:`, 700)
    await fill(client, `${mode};`, 3)
    const { state, deleted } = await client.deletePrefix(`${mode}:`)
    expect([state, deleted]).toEqual(['done', 700])
    expect(await client.count({ prefix: `${mode}:` })).toBe(0)
    expect(await client.count({ prefix: `${mode};` })).toBe(3)
  })
})

test('a prefix of bytes that are no text, and what can be no prefix', async () => {
  const client = await connect()
  await client.put(Uint8Array.of(0xff, 0, 1), 'x')
  await client.put(Uint8Array.of(0xff, 1), 'x')
  expect(await client.deletePrefix(Uint8Array.of(0xff, 0))).toMatchObject({ state: 'done', deleted: 1 })
  expect(await client.get(Uint8Array.of(0xff, 1))).not.toBeNull()
  await expect(client.deletePrefix('')).rejects.toBeInstanceOf(InvalidArgumentError)
  await expect(client.deletePrefix('a', { all: true })).rejects.toBeInstanceOf(InvalidArgumentError)
  await expect(client.deletePrefix('a'.repeat(4097))).rejects.toBeInstanceOf(InvalidArgumentError)
  expect(() => client.deletePrefix(3 as unknown as string)).toThrow(TypeError)
  expect(() => client.deletePrefix('a', { detached: true } as object)).toThrow(TypeError)
})

test('whoever does not wait, or not for so long, is told which operation it is, and it goes on', async () => {
  const client = await connect()
  await fill(client, 'left:', 2_000)
  await expect(client.deletePrefix('left:', { deadlineMs: 1 })).rejects.toBeInstanceOf(DeadlineExceededError)
  // Asked once more it is the same, or another one; done is done.
  const { id } = await client.deletePrefix('left:', { detach: true })
  expect(id).not.toBe('')
  await client.deletePrefix('left:')
  expect(await client.count({ prefix: 'left:' })).toBe(0)
})

test('over HTTP', async () => {
  const client = await connect()
  const url = `http://${cluster.httpAddress}/v1`
  await fill(client, 'http:', 300)
  const begun = await fetch(`${url}/keys?prefix=http:`, { method: 'DELETE' })
  expect(begun.status).toBe(202)
  const { id } = (await begun.json()) as { id: string }
  expect(begun.headers.get('location')).toBe(`/v1/operations/${id}`)
  // The same operation, or one that finds nothing any more.
  const ended = await fetch(`${url}/keys?prefix=http:&wait=true`, { method: 'DELETE' })
  expect(await ended.json()).toMatchObject({ state: 'done', kind: 'delete-prefix', keys: { prefix: 'http:' } })
  expect(ended.status).toBe(200)
  expect(await client.count({ prefix: 'http:' })).toBe(0)
  const shown = await fetch(`${url}/operations/${id}`)
  expect(await shown.json()).toMatchObject({ id, state: 'done', keys: { deleted: 300 } })
  expect((await fetch(`${url}/operations/none`)).status).toBe(404)
  expect((await fetch(`${url}/operations/${id}/cancel`, { method: 'POST' })).status).toBe(409)
  await client.put(Uint8Array.of(0xfe, 7), 'x')
  const bytes = JSON.stringify({ kind: 'delete-prefix', prefix: { base64: '/gc=' } })
  const headers = { 'Content-Type': 'application/json' }
  const other = await fetch(`${url}/operations?wait=true`, { method: 'POST', body: bytes, headers })
  expect(await other.json()).toMatchObject({ state: 'done', keys: { prefix: { base64: '/gc=' }, deleted: 1 } })
  for (const query of ['', '?prefix=', '?prefix=%FF', '?prefix=a&all=true']) {
    expect((await fetch(`${url}/keys${query}`, { method: 'DELETE' })).status, query).toBe(400)
  }
})

test('by the command line', async () => {
  const client = await connect()
  await fill(client, 'cli:', 40)
  expect(await run('delete', '--prefix', 'cli:', '--dry-run')).toMatchObject({
    code: 0,
    out: '40 keys that begin with cli: would be deleted; nothing was done\n',
  })
  const { code, out, warned } = await run('delete', '--prefix', 'cli:')
  expect([code, out]).toEqual([
    0,
    expect.stringMatching(/^operation \w+ is done: delete every key .* cli:; 40 keys deleted\n$/),
  ])
  expect(warned).toContain('what is deleted by then stays deleted')
  expect(await client.count({ prefix: 'cli:' })).toBe(0)
  await client.put(Uint8Array.of(0xfd, 1), 'x')
  const hex = await run('delete', '--prefix-hex', 'fd', '--json')
  expect(JSON.parse(hex.out)).toMatchObject({ state: 'done', keys: { prefix: { base64: '/Q==' }, deleted: 1 } })
  expect((await run('operations')).out).toContain('1 key deleted')
  expect((await run('delete', '--prefix', 'cli:', '--detach')).out).toContain('kvorum operations shows')
})

test('killed while it deletes, and carried on by the next one', async () => {
  const client = await connect()
  await fill(client, 'killed:', 4_000)
  const { id } = await client.deletePrefix('killed:', { detach: true })
  await cluster.stop('SIGKILL')
  await cluster.restart()
  const ended = await run('delete', '--prefix', 'killed:', '--json')
  expect(JSON.parse(ended.out)).toMatchObject({ state: 'done' })
  const shown = JSON.parse((await run('operations', id, '--json')).out)
  expect(shown).toMatchObject({ state: 'done', kind: 'delete-prefix' })
  expect(await client.count({ prefix: 'killed:' })).toBe(0)
})

test('all keys, when that is said', async () => {
  const client = await connect()
  expect((await run('delete', '--all')).code).toBe(0)
  expect(await client.count()).toBe(0)
})

async function run(...args: string[]): Promise<{ code: number; out: string; warned: string }> {
  let [out, warned] = ['', '']
  const context = {
    out: (text: string) => {
      out += text
    },
    warn: (text: string) => {
      warned += text
    },
    ...{ colours: false, columns: 0, version: '0' },
  }
  const code = await runCommand([...args, '--address', cluster.address], {}, context)
  return { code, out, warned }
}
