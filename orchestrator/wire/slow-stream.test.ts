// A client that watches and does not read, over a real connection: raw HTTP/2, because our own clients always read.
import { once } from 'node:events'
import { connect, constants } from 'node:http2'
import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { listen } from './listener.js'
import { kvService, type WatchAnswer } from './services.js'

test('is asked for no more, and cut when it has read nothing for 10 s', async () => {
  let [given, open] = [0, 0]
  async function* watch(): AsyncGenerator<WatchAnswer> {
    open++
    try {
      for (;;) {
        given++
        yield { events: [], next: undefined, partitions: [], token: Buffer.alloc(64 << 10) }
      }
    } finally {
      open--
    }
  }
  const refuse = () => Promise.reject(new Error('only Watch here'))
  const data = { get: refuse, put: refuse, delete: refuse, transaction: refuse, batch: () => {} }
  const clock = new ManualClock()
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [
    kvService({ ...data, clusterMap: refuse as never, watch }, clock),
  ])
  const session = connect(`http://${listener.address}`)
  try {
    const headers = { 'content-type': 'application/grpc', te: 'trailers' }
    const call = session.request({ ':method': 'POST', ':path': '/kvorum.v1.KV/Watch', ...headers })
    call.on('error', () => undefined)
    call.end(Buffer.alloc(5))
    await expect.poll(() => clock.pending).toBe(1)
    expect(given).toBeLessThan(100)
    const closed = once(call, 'close')
    clock.advance(10_000)
    call.resume()
    await closed.catch(() => undefined)
    expect(call.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    await expect.poll(() => open).toBe(0)
    expect(clock.pending).toBe(0)
  } finally {
    session.destroy()
    await listener.close()
  }
})
