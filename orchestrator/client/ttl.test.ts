import { expect, test } from 'vitest'
import { TTL_MS_MAX } from '../core/operation.js'
import { InvalidArgumentError } from '../errors/index.js'
import { KvClient } from './kv-client.js'
import { RequestWrapper } from './request-wrapper.js'
import { FakeCluster } from './testing/fake-cluster.js'

async function withClient(mode: 'direct' | 'gateway', work: (kv: KvClient, at: string) => Promise<void>) {
  const cluster = await FakeCluster.start({})
  const kv = await KvClient.connect({ endpoints: [cluster.gateway.address], mode })
  try {
    await work(kv, cluster.gateway.address)
  } finally {
    await kv.close({ drainMs: 0 })
    await cluster.close()
  }
}

test.each(['direct', 'gateway'] as const)('times to live, %s', (mode) =>
  withClient(mode, async (kv, address) => {
    await kv.put('k', 'v', { ttlMs: 30_000 })
    expect(await kv.ttlOf('k')).toBe(30_000)
    expect(await kv.get('k')).toMatchObject({ ttlMs: 30_000 })
    expect(await kv.touch('k', { ttlMs: TTL_MS_MAX })).toBe(true)
    expect(await kv.ttlOf('k')).toBe(TTL_MS_MAX)
    expect(await kv.touch('k')).toBe(true)
    expect(await kv.ttlOf('k')).toBeNull()
    expect((await kv.get('k'))?.ttlMs).toBeUndefined()
    expect(await kv.touch('absent', { ttlMs: 5 })).toBe(false)
    expect(await kv.ttlOf('absent')).toBeNull()
    const [put, touched, left] = await kv
      .batch()
      .put('b', 'v', { ttlMs: 7 })
      .touch('k', { ttlMs: 9 })
      .ttlOf('absent')
      .run()
    expect([put, touched, left]).toEqual([{ version: 1n }, true, null])
    expect(await kv.batch().ttlOf('b').ttlOf('k').run()).toEqual([7, 9])

    const wrapper = new RequestWrapper(address)
    await wrapper.put('w', 'v', { ttlMs: 11 })
    wrapper.close()
    expect(await kv.ttlOf('w')).toBe(11)
  }),
)

test('a time to live that can be none', () =>
  withClient('direct', async (kv) => {
    for (const ttlMs of [0, -1, 1.5, Number.NaN, TTL_MS_MAX + 1]) {
      for (const call of [kv.put('k', 'v', { ttlMs }), kv.touch('k', { ttlMs })]) {
        const failure = await call.catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(InvalidArgumentError)
        expect(failure).toMatchObject({ outcome: 'not-applied' })
      }
    }
    await expect(kv.put('k', 'v', { ttlMs: '5' as never })).rejects.toThrow(TypeError)
    await expect(kv.touch('k', { ttlMs: 5n as never })).rejects.toThrow(TypeError)
    expect(await kv.get('k')).toBeNull()
  }))
