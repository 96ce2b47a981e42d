import { connect, constants } from 'node:http2'
import { expect, test } from 'vitest'
import { cursorAt, type Range, type RangeStore, SCAN_BYTES, type ScanQuery } from '../core/range.js'
import { CancelledError } from '../errors/index.js'
import { listen } from '../wire/listener.js'
import { type CallInfo, kvService } from '../wire/services.js'
import { rangeHandlers } from './ranges.js'
import { contextWith } from './testing/context.js'
import { ManualStore } from './testing/manual-store.js'

const CALL: CallInfo = { deadlineMs: 90, signal: new AbortController().signal }
const NONE = new Uint8Array()
const ASK = { prefix: NONE, from: NONE, to: NONE, reverse: false, keysOnly: false, limit: 0, cursor: NONE }

/** Handlers over ranges that tell what they are asked, and answer when they are let. */
function handlers(limits = {}) {
  const asked: (ScanQuery & { limit: number; deadlineMs: number; signal: AbortSignal | undefined })[] = []
  const counted: Range[] = []
  const waiting: (() => void)[] = []
  const ranges: RangeStore = {
    scan: async (query, limit, { deadlineMs, signal }) => {
      asked.push({ ...query, limit, deadlineMs, signal })
      await new Promise<void>((resolve) => waiting.push(resolve))
      return { entries: [{ key: Buffer.from('k'), value: NONE, version: 1n }], cursor: undefined }
    },
    count: async (range) => {
      counted.push(range)
      return 12
    },
  }
  const context = contextWith(Object.assign(new ManualStore(), { ranges }), limits)
  return { context, asked, counted, waiting, ...rangeHandlers(context) }
}

test('a piece is asked for as the call says, and its room is given back', async () => {
  const { scan, asked, waiting, context } = handlers()
  const cursor = cursorAt(Buffer.from('m'), true)
  const answer = scan?.({ ...ASK, prefix: Buffer.from('m'), reverse: true, limit: 3, cursor }, CALL)
  expect(asked).toMatchObject([{ reverse: true, limit: 3, deadlineMs: 90 }])
  expect(Buffer.from(asked[0]?.range.to ?? NONE).toString()).toBe('m')
  expect(context.values.held).toBe(SCAN_BYTES)
  waiting[0]?.()
  expect(await answer).toMatchObject({ entries: [{ version: 1n }], cursor: NONE })
  expect(context.values.held).toBe(0)
})

test('what finds no room is refused before it is read, and what is no request as such', async () => {
  const { scan, asked, waiting } = handlers({ inFlightBytesMax: 3 * SCAN_BYTES })
  const first = scan?.(ASK, CALL)
  await expect(scan?.(ASK, CALL)).rejects.toMatchObject({ code: 'OVERLOADED' })
  waiting[0]?.()
  await first
  await expect(scan?.({ ...ASK, limit: 10_001 }, CALL)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(scan?.({ ...ASK, cursor: Buffer.from('x') }, CALL)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(asked).toHaveLength(1)
})

test('what a client has left is given up, and its room is free', async () => {
  let asked: AbortSignal | undefined
  const ranges: RangeStore = {
    scan: (_query, _limit, { signal }) =>
      new Promise((_, reject) => {
        asked = signal
        signal?.addEventListener('abort', () => reject(new CancelledError('given up', { outcome: 'not-applied' })))
      }),
    count: () => Promise.reject(new Error('nobody counts')),
  }
  const context = contextWith(Object.assign(new ManualStore(), { ranges }))
  const refuse = () => Promise.reject(new Error('only Scan here'))
  const data = { get: refuse, put: refuse, delete: refuse, transaction: refuse, batch: () => {} }
  const service = kvService({ ...data, ...rangeHandlers(context), clusterMap: refuse as never })
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [service])
  const session = connect(`http://${listener.address}`)
  const call = session.request({
    ...{ ':method': 'POST', ':path': '/kvorum.v1.KV/Scan' },
    ...{ 'content-type': 'application/grpc', te: 'trailers' },
  })
  try {
    // An empty message: all keys.
    call.end(Buffer.alloc(5))
    await expect.poll(() => context.values.held).toBe(SCAN_BYTES)
    call.close(constants.NGHTTP2_CANCEL)
    await expect.poll(() => asked?.aborted).toBe(true)
    await expect.poll(() => context.values.held).toBe(0)
  } finally {
    session.destroy()
    await listener.close()
  }
})

test('a count', async () => {
  const { count, counted } = handlers()
  expect(await count?.({ prefix: Buffer.from('a'), from: NONE, to: NONE }, CALL)).toEqual({ count: 12n })
  expect(Buffer.from(counted[0]?.to ?? NONE).toString()).toBe('b')
})
