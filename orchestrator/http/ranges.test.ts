import { expect, test } from 'vitest'
import type { Entry } from '../core/operation.js'
import { cursorAt, type Range, type RangeStore, type ScanQuery } from '../core/range.js'
import { serving } from './testing/serving.js'
import { MapStore } from './testing/stores.js'

const entry = (key: string | Buffer, value: string): Entry => {
  return { key: Buffer.from(key as string), value: Buffer.from(value), version: 3n }
}

/** Tells what it was asked, and answers with what a test says. */
class Ranged extends MapStore {
  readonly asked: { query?: ScanQuery; range?: Range; limit?: number; deadlineMs: number }[] = []
  entries: Entry[] = [entry('a', '1'), entry(Buffer.from([0xff]), '2')]
  cursor: Uint8Array | undefined

  readonly ranges: RangeStore = {
    scan: async (query, limit, { deadlineMs }) => {
      this.asked.push({ query, limit, deadlineMs })
      return { entries: this.entries, cursor: this.cursor }
    },
    count: async (range, { deadlineMs }) => {
      this.asked.push({ range, deadlineMs })
      return 7
    },
  }
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()

test('a piece of a scan, and the way on', async () => {
  const store = new Ranged()
  const { ask } = await serving(store)
  store.cursor = cursorAt(Buffer.from('b'), true)
  const answer = await ask('/v1/keys?prefix=us%C3%A9r&limit=5&reverse=true&timeout_ms=70')
  expect(answer.status).toBe(200)
  const { entries, cursor } = (await answer.json()) as { entries: unknown; cursor: string }
  expect(entries).toEqual([
    { key: 'a', value: '1', version: '3' },
    { key: { base64: '/w==' }, value: '2', version: '3' },
  ])
  expect(store.asked[0]).toMatchObject({ limit: 5, deadlineMs: 70, query: { reverse: true, keysOnly: false } })
  expect(text(store.asked[0]?.query?.range.from)).toBe('usér')
  store.cursor = undefined
  const next = await ask(`/v1/keys?from=a&to=z&keys_only=true&cursor=${cursor}`)
  expect(await next.json()).toEqual({
    entries: [
      { key: 'a', version: '3' },
      { key: { base64: '/w==' }, version: '3' },
    ],
  })
  const { query, limit } = store.asked[1] ?? {}
  expect([text(query?.range.from), text(query?.range.to), query?.reverse, limit]).toEqual(['a', 'b', true, 10_000])
})

test('a count', async () => {
  const store = new Ranged()
  const { ask } = await serving(store)
  expect(await (await ask('/v1/count?prefix=a')).json()).toEqual({ count: 7 })
  expect(text(store.asked[0]?.range?.to)).toBe('b')
})

test.each(['limit=0', 'limit=10001', 'limit=x', 'cursor=abc', 'cursor=Zm', 'prefix=%FF', 'reverse=1', 'other=1'])(
  '%s is refused',
  async (query) => {
    const { ask } = await serving(new Ranged())
    expect((await ask(`/v1/keys?${query}`)).status).toBe(400)
  },
)
