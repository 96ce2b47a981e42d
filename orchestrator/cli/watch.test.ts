import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PARTITIONS } from '../core/slot.js'
import { makeClusterMap } from '../core/topology.js'
import { CompactedError, InvalidArgumentError, UnavailableError } from '../errors/index.js'
import { type Listener, listen } from '../wire/listener.js'
import { kvService, type WatchAnswer, type WatchQuestion } from '../wire/services.js'
import { runCommand } from './program.js'
import { plainContext } from './testing/plain-context.js'

let listener: Listener
let asked: WatchQuestion[]
/** Goes on until its client leaves, instead of failing. */
let isEndless = false
let isRefused = false

beforeEach(async () => {
  asked = []
  isEndless = false
  isRefused = false
  const refuse = () => Promise.reject(new UnavailableError('only Watch here', { outcome: 'not-applied' }))
  const data = { get: refuse, put: refuse, delete: refuse, transaction: refuse, batch: () => {} }
  const handlers = { ...data, clusterMap, watch }
  listener = await listen({ host: '127.0.0.1', port: 0 }, [kvService(handlers)])
})
afterEach(() => listener.close())

async function* clusterMap(signal: AbortSignal) {
  const shards = [{ id: 1, nodes: [{ id: 'n1', address: listener.address }] }]
  yield makeClusterMap({ clusterId: 'fake', epoch: 1n, owners: Array(PARTITIONS).fill(1), shards })
  await once(signal, 'abort')
}

/** Two changes, and then there is too much that was missed. */
async function* watch(request: WatchQuestion, signal: AbortSignal): AsyncGenerator<WatchAnswer> {
  asked.push(request)
  if (isRefused) throw new InvalidArgumentError('not a token', { outcome: 'not-applied' })
  yield { events: [], next: undefined, partitions: [], token: Buffer.from([1]) }
  const token = Buffer.from([1, 2, 3])
  const [key, value] = [Buffer.from('user:1'), Buffer.from([0xff])]
  const event = { next: undefined, token }
  yield {
    events: [
      { ...event, kind: { $case: 'put', value: { key, value, version: 4n } } },
      { ...event, kind: { $case: 'delete', value: { key, value: new Uint8Array(), version: 4n } } },
    ],
    next: undefined,
    partitions: [],
    token,
  }
  if (isEndless) await once(signal, 'abort')
  throw new CompactedError('not kept any more', { outcome: 'not-applied', token: 'BAUG' })
}

async function run(...args: string[]) {
  const context = plainContext()
  const out = (text: string) => {
    context.out(text)
    if (isEndless && text.startsWith('delete')) process.emit('SIGINT')
  }
  const code = await runCommand(['watch', ...args, '--address', listener.address], {}, { ...context, out })
  return { code, ...context.said }
}

test('prints each change, and how to go on when too much was missed', async () => {
  const { code, out, warned } = await run('user:', '--from', 'AQID')
  expect(out).toBe('put "user:1" 0xff\ndelete "user:1"\n')
  expect(code).toBe(3)
  expect(warned).toBe(
    `kvorum: watching; the same again with --from AQ\nkvorum: watch "user:" on ${listener.address} failed: the changes since then are not kept any more: kvorum scan shows what is there, and --from BAUG watches on from now (COMPACTED)\n`,
  )
  expect(asked[0]?.keys).toEqual({ $case: 'prefix', value: Buffer.from('user:') })
  expect(Buffer.from(asked[0]?.token ?? [])).toEqual(Buffer.from([1, 2, 3]))
})

test('a token that is none is not told as the way on', async () => {
  isRefused = true
  const { code, warned } = await run('user:', '--from', 'AQID')
  expect(code).toBe(2)
  expect(warned).toBe(`kvorum: watch "user:" on ${listener.address} failed: not a token (INVALID_ARGUMENT)\n`)
})

test('Ctrl-C ends it, and it says how far it came', async () => {
  isEndless = true
  const { code, out, warned } = await run('user:')
  expect([code, out]).toEqual([0, expect.stringContaining('delete "user:1"')])
  expect(warned).toMatch(/watching; the same again with --from AQ\n[\s\S]*watch on with --from AQID\n$/)
})

test('--json: a line each, with the token to go on from', async () => {
  const { out } = await run('', '--json')
  const [put, gone, failed] = out.split('\n').map((line) => (line === '' ? undefined : (JSON.parse(line) as unknown)))
  expect(put).toEqual({ type: 'put', key: 'user:1', valueBase64: '/w==', version: '4', token: 'AQID' })
  expect(gone).toEqual({ type: 'delete', key: 'user:1', version: '4', token: 'AQID' })
  expect(failed).toMatchObject({ ok: false, error: { code: 'COMPACTED', token: 'BAUG' } })
})
