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
    expect(out).toBe(
      'operation abc is done: delete every key that begins with a:; 1,004 keys deleted, 1 written since and left\n',
    )
    expect(warned).toContain('kvorum operations cancel abc ends it: what is deleted by then stays deleted\n')
    expect(warned).toMatch(
      /running: 10 % of 1,000 counted keys\nrunning: 50 % of .*\nrunning: 100 % of 1,000 counted keys\n/,
    )
  })

  test('with a bar on a terminal', async () => {
    expect(await run(200, KNOWN, 'delete', '--prefix', 'a:')).toBe(0)
    expect(warned).toMatch(/\[#+-+\] 50 % {2}499 of 1,000 counted keys deleted, 1 written since and left {2}ETA \d+ s/)
  })

  test('where nobody knows how many there are no share of them is shown', async () => {
    expect(await run(200, UNKNOWN, 'delete', '--prefix', 'a:')).toBe(0)
    expect(warned).toContain('100 keys deleted, 1 written since')
    expect(warned).not.toContain('%')
  })

  test.each([
    [1_001, 1_000, {}, '1,001 keys deleted, 1 written since and left'],
    [0, 1, { keys: { prefix: Buffer.from('a:'), total: 1n, deleted: 0n, passed: 0n } }, '0 of 1 counted key deleted'],
    [1, 2, { ...done, state: OperationState.CANCELLED }, '1 of 2 counted keys deleted, 1 written since'],
  ])('%d of %d: what was counted is no total of what was deleted', async (deleted, total, changes, words) => {
    expect(await run(0, [deletion(deleted, total, changes)], 'operations', 'abc')).toBe(0)
    expect(out).toContain(words)
  })

  test('operations shows its keys', async () => {
    expect(await run(0, UNKNOWN, 'operations', 'abc', '--json')).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ keys: { prefix: 'a:', total: null, deleted: 200, passed: 1 } })
  })
})
