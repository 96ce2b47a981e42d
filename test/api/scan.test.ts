// Scans and counts on a real cluster by every way of KvClient, by HTTP and by the command line: what the README says of them.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { runCommand } from '../../orchestrator/cli/program.js'
import { keysFrom } from '../../orchestrator/cli/scan.js'
import { KvClient, type ScanOptions } from '../../orchestrator/client/index.js'
import { CancelledError, DeadlineExceededError } from '../../orchestrator/errors/index.js'
import { Cluster } from '../harness/cluster.js'

const KEYS = 3000

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 3, replicas: 1 })
  const client = await connect('direct')
  const batch = client.batch<unknown[] & never[]>()
  for (const name of names()) batch.put(name, `value of ${name}`)
  await batch.run()
  // Values of which few fit into a page, beside the others.
  for (let at = 0; at < 6; at++) await client.put(`large/${at}`, Buffer.alloc(700_000, at))
})
afterAll(() => cluster?.dispose())

const clients: KvClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

async function connect(mode: 'direct' | 'gateway' | 'auto'): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: [cluster.address], mode })
  clients.push(client)
  return client
}

const names = (): string[] => Array.from({ length: KEYS }, (_, at) => `scan/${String(at).padStart(5, '0')}`)

async function keysOf(client: KvClient, options: ScanOptions): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of client.scan({ ...options, keysOnly: true })) keys.push(Buffer.from(key).toString())
  return keys
}

describe.each(['direct', 'gateway', 'auto'] as const)('mode %s', (mode) => {
  test('all keys of all shards in order, with values and versions', async () => {
    const client = await connect(mode)
    const keys: string[] = []
    for await (const entry of client.scan({ prefix: 'scan/' })) {
      keys.push(entry.keyText())
      expect(entry.text()).toBe(`value of ${entry.keyText()}`)
      expect(entry.version).toBeGreaterThan(0n)
    }
    expect(keys).toEqual(names())
  })

  test('bounds, both directions, a limit, and on from a cursor', async () => {
    const client = await connect(mode)
    const all = names()
    expect(await keysOf(client, { from: all[10] as string, to: all[20] as string })).toEqual(all.slice(10, 20))
    expect(await keysOf(client, { prefix: 'scan/', reverse: true, limit: 7 })).toEqual(all.slice(-7).reverse())
    let cursor = ''
    for await (const entry of client.scan({ prefix: 'scan/', limit: 100 })) cursor = entry.cursor
    expect(await keysOf(client, { prefix: 'scan/', cursor, limit: 3 })).toEqual(all.slice(100, 103))
    expect(await keysOf(client, { prefix: 'none/' })).toEqual([])
  })

  test('values larger than a page', async () => {
    const client = await connect(mode)
    const sizes: number[] = []
    for await (const { value } of client.scan({ prefix: 'large/' })) sizes.push(value.length)
    expect(sizes).toEqual(Array(6).fill(700_000))
  })

  test('a count, which shows nothing of what is Kvorum’s own', async () => {
    const client = await connect(mode)
    expect(await client.count({ prefix: 'scan/' })).toBe(KEYS)
    expect(await client.count()).toBe(KEYS + 6)
    expect(await client.count({ from: 'scan/00010', to: 'scan/00020' })).toBe(10)
  })

  test('whoever leaves, is told to, or has no time', async () => {
    const client = await connect(mode)
    let seen = 0
    for await (const _ of client.scan()) if (++seen === 5) break
    const giving = new AbortController()
    const aborted = async () => {
      for await (const _ of client.scan({ signal: giving.signal })) giving.abort()
    }
    await expect(aborted()).rejects.toBeInstanceOf(CancelledError)
    await expect(keysOf(client, { deadlineMs: 0 })).rejects.toBeInstanceOf(DeadlineExceededError)
    await expect(client.count({ deadlineMs: 0 })).rejects.toBeInstanceOf(DeadlineExceededError)
    // What is left of them would hold the end up.
    const begin = performance.now()
    await client.close()
    expect(performance.now() - begin).toBeLessThan(2_000)
  })
})

test('what can be no scan is a TypeError at once', async () => {
  const client = await connect('direct')
  expect(() => client.scan({ limit: -1 })).toThrow(TypeError)
  expect(() => client.scan({ cursor: 'x' })).toThrow(TypeError)
  expect(() => client.scan({ prefix: 3 as unknown as string })).toThrow(TypeError)
  await expect(client.count({ from: {} as unknown as string })).rejects.toBeInstanceOf(TypeError)
})

test('over HTTP, piece by piece', async () => {
  const keys: string[] = []
  let cursor: string | undefined
  do {
    const more = cursor === undefined ? '' : `&cursor=${cursor}`
    const answer = await fetch(`http://${cluster.httpAddress}/v1/keys?prefix=scan/&limit=1000${more}`)
    const piece = (await answer.json()) as { entries: { key: string }[]; cursor?: string }
    keys.push(...piece.entries.map(({ key }) => key))
    cursor = piece.cursor
  } while (cursor !== undefined)
  expect(keys).toEqual(names())
  const count = await fetch(`http://${cluster.httpAddress}/v1/count?prefix=scan/`)
  expect(await count.json()).toEqual({ count: KEYS })
})

describe('by the command line', () => {
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

  test('a table for people, lines of JSON for programs', async () => {
    const [first, second] = names()
    const { code, out, warned } = await run('scan', '--prefix', 'scan/', '--limit', '2')
    expect(code).toBe(0)
    expect(warned).toMatch(/^kvorum: there are more keys: go on with --cursor \S+\n$/)
    expect(out).toMatch(/^KEY {9}VERSION {2}VALUE\nscan\/00000 {2}\d+ +value of scan\/00000\nscan\/00001 .*\n$/)
    const json = await run('scan', '--from', 'scan/', '--to', 'scan/00002', '--reverse', '--json')
    const lines = json.out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).key)).toEqual([second, first])
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ value: `value of ${second}`, version: expect.any(String) })
    const keys = await run('scan', '--prefix', 'scan/', '--keys-only', '--json')
    expect(keys.out.trim().split('\n')).toHaveLength(KEYS)
    expect(JSON.parse(keys.out.split('\n')[0] ?? '')).toEqual({ key: first, version: expect.any(String) })
  })

  test('a count', async () => {
    expect(await run('count', '--prefix', 'scan/')).toMatchObject({ code: 0, out: `${KEYS}\n` })
    expect(JSON.parse((await run('count', '--prefix', 'none', '--json')).out)).toEqual({ ok: true, count: 0 })
    expect((await run('scan', '--limit', '0')).code).toBe(2)
  })
})

test('keys are offered for completion, and none where nobody answers', async () => {
  const all = names()
  expect(await keysFrom('scan/0001', { address: cluster.address, timeoutMs: 5_000 })).toEqual(all.slice(10, 20))
  expect(await keysFrom('scan/', { address: cluster.address, timeoutMs: 5_000 })).toEqual(all.slice(0, 50))
  expect(await keysFrom('scan/', { address: 'localhost:1', timeoutMs: 200 })).toEqual([])
})
