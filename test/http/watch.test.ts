// Watches over HTTP on a real cluster: an EventSource that comes back with Last-Event-ID misses nothing and is told nothing twice.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2 })
})
afterAll(() => cluster?.dispose())

const at = (path: string): string => `http://${cluster.httpAddress}${path}`

interface Event {
  readonly name: string
  readonly id: string
  readonly data: { readonly key?: string; readonly value?: string; readonly version?: string; readonly token?: string }
}

/** What a browser's EventSource does, but for the connecting again. */
async function* eventsOf(path: string, lastId: string | undefined): AsyncGenerator<Event> {
  const gone = new AbortController()
  const headers = { Accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'Last-Event-ID': lastId }) }
  const answer = await fetch(at(path), { headers, signal: gone.signal })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
      const blocks = (text + decoder.decode(chunk, { stream: true })).split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => [line.split(': ', 1)[0], line.replace(/^\w*: /, '')]))
        const [name, id, data] = ['event', 'id', 'data'].map((field) => fields.get(field))
        if (name !== undefined && id !== undefined) yield { name, id, data: JSON.parse(data ?? '') as Event['data'] }
      }
    }
  } finally {
    gone.abort()
  }
}

test('every change once, in the order of its key, through connections that break and the death of a leader', async () => {
  const map = await cluster.map()
  const keys = [1, 2].map((shard) => keysOn(map, shard, 'sse/')())
  const count = 60
  const versions = new Map<string, string[]>(keys.map((key) => [key, []]))
  const put = async (key: string, value: number) => {
    const answer = await fetch(at(`/v1/keys/${encodeURIComponent(key)}`), {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ value: `${value}` }),
    })
    expect(answer.status).toBe(200)
    versions.get(key)?.push(((await answer.json()) as { version: string }).version)
  }
  let lastId: string | undefined
  const seen: Event[] = []
  /** Takes so many changes, then leaves. */
  const take = async (changes: number, begun = () => {}) => {
    for await (const event of eventsOf('/v1/watch?prefix=sse%2F', lastId)) {
      lastId = event.id
      if (event.name === 'change') seen.push(event)
      else begun()
      if (seen.length >= changes) return
    }
    throw new Error('the stream has ended')
  }
  let writers: Promise<unknown> = Promise.resolve()
  const write = () => {
    writers = Promise.all(
      keys.map(async (key) => {
        for (let number = 0; number < count; number++) await put(key, number)
      }),
    )
  }
  const leader = await cluster.leaderOf(1)
  // Writes begin when the first watch says that it has.
  let started = false
  await take(20, () => {
    if (!started) write()
    started = true
  })
  signal(leader.pid, 'SIGKILL')
  // Nobody watches until there is more to be told.
  for (let changes = 30; changes < 2 * count; changes += 17) await take(changes)
  await take(2 * count)
  await writers
  for (const key of keys) {
    const told = seen.filter(({ data }) => data.key === key)
    expect(told.map(({ data }) => data.version)).toEqual(versions.get(key))
    expect(told.map(({ data }) => data.value)).toEqual(Array.from({ length: count }, (_, number) => `${number}`))
  }
  await cluster.settled()
})

test('what it is asked wrongly has its status before there is a stream', async () => {
  const statusOf = async (query: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(at(`/v1/watch?${query}`), { headers })
    await answer.body?.cancel()
    return answer.status
  }
  expect(await statusOf('from=AAAA')).toBe(400)
  expect(await statusOf('', { 'Last-Event-ID': 'AQIDBA' })).toBe(400)
  expect(await statusOf('prefix=a&key=b')).toBe(400)
  expect(await statusOf(`key=${'k'.repeat(1025)}`)).toBe(400)
  expect(await statusOf('from=%20')).toBe(400)
  expect(await statusOf('', { Accept: 'application/json' })).toBe(406)
  const head = await fetch(at('/v1/watch?prefix=a'), { method: 'HEAD' })
  expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
})

test('a stop of the server ends a stream in order', async () => {
  const answer = await fetch(at('/v1/watch'))
  const text = answer.text()
  expect(await cluster.stop('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(await text).toMatch(/^retry: \d+\n\nevent: progress\n[\s\S]*\n\n$/)
})
