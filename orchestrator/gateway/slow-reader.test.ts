// A client that asks and does not read, over a real connection: raw HTTP/2, because our own clients always read.
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { afterEach, expect, test } from 'vitest'
import type { Clock } from '../core/clock.js'
import { MapCell } from '../core/map-source.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { operationToWire } from '../wire/convert.js'
import { BatchRequest } from '../wire/gen/kvorum/v1/kv.js'
import type { Done, OperationStore } from './context.js'
import { type Gateway, serveGateway } from './index.js'
import { smallMap } from './testing/context.js'

const VALUE = Buffer.alloc(100 << 10)
const MESSAGES = 1000
const PREFIX_BYTES = 5

let gateway: Gateway | undefined
let session: ClientHttp2Session | undefined
afterEach(async () => {
  session?.destroy()
  await gateway?.close()
})

/** Answers every get at once with the same value, and counts. */
class CountingStore implements OperationStore {
  asked = 0

  submit(_operation: unknown, _deadlineMs: number, done: Done): void {
    this.asked++
    done(undefined, { kind: 'get', found: true, value: VALUE, version: 1n })
  }
}

async function openBatch(store: OperationStore, clock?: Clock): Promise<ClientHttp2Stream> {
  gateway = await serveGateway({ store, maps: new MapCell(smallMap(1n)), host: '127.0.0.1', port: 0, clock })
  session = connect(`http://${gateway.address}`)
  const headers = { 'content-type': 'application/grpc', te: 'trailers' }
  return session.request({ ':method': 'POST', ':path': '/kvorum.v1.KV/Batch', ...headers })
}

function frame(id: number): Buffer {
  const get = operationToWire({ kind: 'get', key: Buffer.from('k') })
  const request = { id: BigInt(id), epoch: 0n, timeoutMs: 0, operations: [get], sessions: [] }
  const message = BatchRequest.encode(request).finish()
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

test('is not read from until it reads; then it gets everything', async () => {
  const store = new CountingStore()
  const stream = await openBatch(store)
  for (let id = 1; id <= MESSAGES; id++) stream.write(frame(id))
  stream.end()

  // 64 messages are open, and the few that found room in the window of the client are through.
  await expect.poll(() => store.asked).toBeGreaterThanOrEqual(64)
  const asked = store.asked
  expect(asked).toBeLessThan(100)

  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  await expect.poll(() => store.asked, { timeout: 10_000 }).toBe(MESSAGES)
  await expect.poll(() => bytes, { timeout: 10_000 }).toBeGreaterThan(MESSAGES * VALUE.length)
})

test('is cut when it has read nothing for 10 s', async () => {
  const store = new CountingStore()
  const clock = new ManualClock()
  const stream = await openBatch(store, clock)
  const errors: Error[] = []
  stream.on('error', (error) => errors.push(error))
  for (let id = 1; id <= MESSAGES; id++) stream.write(frame(id))
  await expect.poll(() => store.asked).toBeGreaterThanOrEqual(64)
  const closed = once(stream, 'close').catch(() => {})
  clock.advance(11_000)
  // Whoever reads at last reads of the end, and not the answers that were waiting.
  stream.resume()
  await closed
  expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
})
