import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ControlHandlers, controlService, type Operation, OperationState } from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import { prefixTaskOf } from './delete-prefix.js'
import { runCommand } from './program.js'

const FRESH = { all: false, detach: false, dryRun: false }

test.each([
  [{ prefix: 'a:' }, { ...FRESH, prefix: Buffer.from('a:') }],
  [{ prefixHex: 'ff00' }, { ...FRESH, prefix: Buffer.of(0xff, 0) }],
  [
    { prefix: 'a', detach: true },
    { ...FRESH, prefix: Buffer.from('a'), detach: true },
  ],
  [
    { all: true, dryRun: true },
    { ...FRESH, prefix: Buffer.of(), all: true, dryRun: true },
  ],
])('%j', (flags, task) => {
  expect(prefixTaskOf(undefined, flags)).toEqual(task)
})

test('a key alone is deleted as ever', () => {
  expect(prefixTaskOf('k', {})).toBeUndefined()
})

test.each([
  [undefined, {}],
  ['k', { prefix: 'a' }],
  ['k', { all: true }],
  ['k', { dryRun: true }],
  [undefined, { prefix: 'a', all: true }],
  [undefined, { prefix: 'a', prefixHex: 'ff' }],
  [undefined, { prefix: '' }],
  [undefined, { prefixHex: '' }],
  [undefined, { prefixHex: 'f' }],
])('%s with %j makes no sense', (key, flags) => {
  expect(() => prefixTaskOf(key, flags)).toThrow(TypeError)
})

describe('as a command', () => {
  let listener: Listener
  let out: string
  let warned: string
  beforeEach(() => {
    out = ''
    warned = ''
  })
  afterEach(() => listener.close())

  /** Of a cluster where that is seen of the operation, one after the other. */
  async function run(columns: number, seen: readonly Operation[], ...args: string[]): Promise<number> {
    const handlers: Partial<ControlHandlers> = {
      deletePrefix: async () => deletion(0, undefined),
      operations: async () => seen.slice(-1),
      watch: async function* () {
        yield* seen
      },
    }
    listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(controlHandlers(handlers))])
    const say = {
      out: (text: string) => {
        out += text
      },
      warn: (text: string) => {
        warned += text
      },
    }
    const context = { ...say, colours: false, columns, version: '0' }
    return runCommand([...args, '--address', listener.address], {}, context)
  }

  function deletion(deleted: number, total: number | undefined, changes: Partial<Operation> = {}): Operation {
    const counts = { total: total === undefined ? undefined : BigInt(total), deleted: BigInt(deleted), passed: 1n }
    return {
      ...{ id: 'abc', kind: 'delete-prefix', what: 'delete every key that begins with a:', detail: '' },
      ...{ state: OperationState.RUNNING, begunAt: 1_000n, endedAt: 0n, moves: [], steps: [] },
      keys: { prefix: Buffer.from('a:'), ...counts },
      ...changes,
    }
  }

  const done = { state: OperationState.DONE, endedAt: 4_000n }
  const KNOWN = [...[100, 120, 499, 999].map((deleted) => deletion(deleted, 1_000)), deletion(1_004, 1_000, done)]
  const UNKNOWN = [deletion(100, undefined), deletion(200, undefined, done)]

  test('it is followed to its end, in tenths', async () => {
    expect(await run(0, KNOWN, 'delete', '--prefix', 'a:')).toBe(0)
    expect(out).toBe('operation abc is done: delete every key that begins with a:\n')
    expect(warned).toContain('kvorum operations cancel abc ends it: what is deleted by then stays deleted\n')
    expect(warned).toMatch(/running: 10 % of 1000 keys\nrunning: 50 % of 1000 keys\nrunning: 100 % of 1000 keys\n/)
  })

  test('with a bar on a terminal', async () => {
    expect(await run(200, KNOWN, 'delete', '--prefix', 'a:')).toBe(0)
    expect(warned).toMatch(/\[#+-+\] 50 % {2}500 of 1000 keys {2}ETA \d+ s/)
  })

  test('where nobody knows how many there are no share of them is shown', async () => {
    expect(await run(200, UNKNOWN, 'delete', '--prefix', 'a:')).toBe(0)
    expect(warned).toContain('101 keys')
    expect(warned).not.toContain('%')
  })

  test('operations shows its keys', async () => {
    expect(await run(0, UNKNOWN, 'operations', 'abc', '--json')).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ keys: { prefix: 'a:', total: null, deleted: 200, passed: 1 } })
  })
})
