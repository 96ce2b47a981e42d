import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../core/clock.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import type { ClusterMap } from '../core/topology.js'
import { MapWatcher } from './map-watcher.js'
import { mapOf } from './testing/fake-cluster.js'
import { FakeGateway } from './testing/fake-gateway.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function serve(map: ClusterMap | undefined): Promise<FakeGateway> {
  const gateway = await new FakeGateway(map).open()
  cleanups.push(() => gateway.close())
  return gateway
}

const map = (epoch: bigint, cluster = 'c1', address = '127.0.0.1:1') => mapOf(cluster, epoch, [{ id: 'n1', address }])

function watch(endpoints: string[], { pinned = true, clock = systemClock } = {}): MapWatcher {
  const watcher = new MapWatcher({ endpoints, clock, pinned })
  cleanups.push(() => watcher.close())
  return watcher
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('newer maps come by themselves; an older one is ignored, the same with other addresses is not', async () => {
  const server = await serve(map(5n))
  const watcher = watch([server.address])
  const cell = await watcher.first(5000)
  expect(cell.current().epoch).toBe(5n)
  server.publish(map(6n))
  await until(() => cell.current().epoch === 6n)
  server.publish(map(4n))
  await new Promise((resolve) => setTimeout(resolve, 20))
  server.publish(map(6n, 'c1', '127.0.0.1:2'))
  await until(() => cell.current().shards[0]?.nodes[0]?.address === '127.0.0.1:2')
  expect(cell.current().epoch).toBe(6n)
})

describe('an endpoint that does not do', () => {
  test('is dead: the next one is asked, and it again when that fails', async () => {
    const [one, two] = [await serve(map(1n)), await serve(map(2n))]
    const { port } = one
    await one.close()
    const watcher = watch([one.address, two.address])
    const cell = await watcher.first(5000)
    expect(cell.current().epoch).toBe(2n)
    await two.close()
    await until(() => watcher.trouble !== undefined)
    one.publish(map(3n))
    await one.open(port)
    await until(() => cell.current().epoch === 3n)
    expect(watcher.trouble).toBeUndefined()
  })

  test('takes the call and says nothing: the next one is asked after a second', async () => {
    const [silent, good] = [await serve(undefined), await serve(map(2n))]
    const watcher = watch([silent.address, good.address])
    expect((await watcher.first(5000)).current().epoch).toBe(2n)
    expect(silent.asked).toBe(1)
  })

  test('serves another cluster: it is refused and not trusted until it serves ours', async () => {
    const server = await serve(map(1n))
    const watcher = watch([server.address])
    const cell = await watcher.first(5000)
    server.publish(map(9n, 'c2'))
    await until(() => watcher.trouble?.code === 'WRONG_PEER')
    expect(watcher.trouble?.message).toMatch(/serves cluster c2 now, not c1/)
    expect([watcher.trusts(server.address), cell.current().epoch]).toEqual([false, 1n])
    server.publish(map(2n))
    await until(() => watcher.trusts(server.address))
    expect(cell.current().epoch).toBe(2n)
  })

  test('serves another cluster, for one who follows the address: that counts', async () => {
    const server = await serve(map(5n))
    const watcher = watch([server.address], { pinned: false })
    await watcher.first(5000)
    server.publish(map(1n, 'c2'))
    await until(() => watcher.current?.clusterId === 'c2')
  })

  test('stays behind what was met elsewhere: the next one is asked', async () => {
    const [old, fresh] = [await serve(map(1n)), await serve(map(2n))]
    const watcher = watch([old.address, fresh.address])
    const cell = await watcher.first(5000)
    cell.refresh(1n)
    cell.refresh(2n)
    await until(() => cell.current().epoch === 2n)
  })
})

test('nothing is left after close, also while nobody answers', async () => {
  const clock = new ManualClock()
  const watcher = watch(['127.0.0.1:1'], { clock })
  const first = watcher.first(100).catch((error: unknown) => error)
  clock.advance(100)
  expect(await first).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
  watcher.close()
  await until(() => clock.pending === 0)
})

test('nor while a newer map is waited for', async () => {
  const clock = new ManualClock()
  const server = await serve(map(1n))
  const watcher = watch([server.address], { clock })
  const cell = await watcher.first(100)
  cell.refresh(2n)
  expect(clock.pending).toBe(1)
  watcher.close()
  await until(() => clock.pending === 0)
})
