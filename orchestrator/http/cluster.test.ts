import { expect, test } from 'vitest'
import { OverloadedError, UnavailableError } from '../errors/index.js'
import type { StatusResponse } from '../wire/control.js'
import { ClusterStatus } from './schemas.js'
import { serving, statusWith } from './testing/serving.js'
import { MapStore } from './testing/stores.js'

test.each(['/status', '/v1/status'])('%s names the leader of each shard', async (path) => {
  const { ask } = await serving(new MapStore(), { status: async () => statusWith([1]) })
  const answer = await (await ask(path)).json()
  expect(ClusterStatus.parse(answer)).toEqual(answer)
  const leader = { id: 'n12', name: 'shard-1/node-2', address: '127.0.0.1:12' }
  expect(answer).toMatchObject({
    epoch: '7',
    shards: [
      { id: 1, leader, term: '3' },
      { id: 2, leader: null, nodes: [{ id: 'n21', answers: true }, {}, {}] },
    ],
  })
})

test('an orchestrator that cannot tell: 503', async () => {
  const error = new UnavailableError('it is about to take over', { outcome: 'not-applied' })
  const { ask } = await serving(new MapStore(), { status: () => Promise.reject(error) })
  expect((await ask('/status')).status).toBe(503)
  expect((await ask('/readyz')).status).toBe(503)
  expect((await ask('/healthz')).status).toBe(200)
})

test('nodes are asked once for all who want to know at the same time', async () => {
  const waiting: ((status: StatusResponse) => void)[] = []
  const { ask } = await serving(new MapStore(), { status: () => new Promise((resolve) => waiting.push(resolve)) })
  const all = Promise.all(['/status', '/readyz', '/status'].map((path) => ask(path)))
  await expect.poll(() => waiting.length).toBe(1)
  // The other two come on connections of their own: they are here when a later one has been answered.
  for (let look = 0; look < 5; look++) await ask('/healthz')
  waiting[0]?.(statusWith([1]))
  // Whoever came too late for that look begins another.
  const late = setInterval(() => waiting[1]?.(statusWith([1])), 5)
  expect((await all).map(({ status }) => status)).toEqual([200, 200, 200])
  clearInterval(late)
  expect(waiting.length).toBeLessThanOrEqual(2)
})

test('ready while one shard has a leader, and until it is about to stop', async () => {
  let led = [1]
  const { ask, gateway } = await serving(new MapStore(), { status: async () => statusWith(led) })
  expect(await (await ask('/readyz')).json()).toEqual({ ready: true, leaderless: [2] })
  led = []
  expect((await ask('/readyz')).status).toBe(503)
  led = [1, 2]
  expect((await ask('/readyz')).status).toBe(200)
  gateway.drain()
  const draining = await ask('/readyz')
  expect([draining.status, draining.headers.get('connection')]).toEqual([503, 'close'])
  expect((await ask('/key/k', { method: 'DELETE' })).status).toBe(200)
  expect((await ask('/healthz')).status).toBe(200)
})

test('whoever has too much to do still says how he is', async () => {
  const store = new MapStore()
  store.refuses = new OverloadedError('full', { outcome: 'not-applied', retryAfterMs: 1500 })
  const { ask } = await serving(store)
  for (const path of ['/healthz', '/readyz', '/status', '/v1/openapi.json']) expect((await ask(path)).status).toBe(200)
  const refused = await ask('/key/k')
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2'])
  expect(await refused.json()).toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied', retry_after_ms: 1500 })
})
