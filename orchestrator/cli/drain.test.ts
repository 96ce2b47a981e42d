import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Clock, systemClock } from '../core/clock.js'
import { PreconditionFailedError, UnavailableError } from '../errors/index.js'
import { controlService, type DrainOrder, type DrainResponse } from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import type { Context } from './context.js'
import { drain } from './drain.js'
import { runCommand } from './program.js'

let listener: Listener
let asked: DrainOrder[]
let answers: (order: DrainOrder) => DrainResponse
let out: string
let warned: string

const MOVES = [{ shard: 1, from: 'shard-1/node-2', to: 'shard-1/node-3', detail: '' }]
const STUCK = [{ shard: 1, from: 'shard-1/node-2', to: '', detail: 'no other node of it is well that may lead' }]
const NODES = ['shard-1/node-2']

beforeEach(async () => {
  asked = []
  out = ''
  warned = ''
  answers = () => ({ nodes: NODES, moves: [] })
  const handlers = controlHandlers({
    drain: async (order) => {
      asked.push(order)
      return answers(order)
    },
  })
  listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(handlers)])
})
afterEach(() => listener.close())

const context: Context = {
  out: (text) => {
    out += text
  },
  warn: (text) => {
    warned += text
  },
  colours: false,
  columns: 0,
  version: '0',
}

function run(...args: string[]): Promise<number> {
  return runCommand(['node', ...args], { KVORUM_ADDRESS: listener.address }, context)
}

const order = { node: '', machine: '', undo: false, dryRun: false }

test('drain waits until nothing of it leads any more', async () => {
  let left = 3
  answers = () => ({ nodes: NODES, moves: left-- > 0 ? MOVES : [] })
  expect(await run('drain', 'shard-1/node-2')).toBe(0)
  expect(asked).toHaveLength(4)
  expect(asked[0]).toEqual({ ...order, node: 'shard-1/node-2' })
  expect(warned).toBe('1 node drained; waiting for leaders to go\n')
  expect(out).toBe('shard-1/node-2 is drained: it leads nothing until kvorum node undrain\n')
})

test('drain goes on waiting while whoever runs the cluster is away', async () => {
  answers = () => {
    if (asked.length === 2)
      throw new UnavailableError('no orchestrator holds the control lease now', { outcome: 'unknown' })
    return { nodes: NODES, moves: asked.length < 3 ? MOVES : [] }
  }
  expect(await run('drain', 'shard-1/node-2')).toBe(0)
  expect(asked).toHaveLength(3)
})

test('drain of a machine, detached, for programs', async () => {
  answers = () => ({ nodes: NODES, moves: MOVES })
  expect(await run('drain', '--machine', 'm1', '--detach', '--json')).toBe(0)
  expect(asked).toEqual([{ ...order, machine: 'm1' }])
  expect(JSON.parse(out)).toEqual({ nodes: NODES, moves: MOVES })
})

test('a dry run shows what would move, or that nothing would', async () => {
  answers = () => ({ nodes: NODES, moves: [...MOVES, ...STUCK] })
  expect(await run('drain', '--machine', 'm1', '--dry-run')).toBe(0)
  expect(asked).toEqual([{ ...order, machine: 'm1', dryRun: true }])
  expect(out).toBe(
    'machine m1 (1 node) would be drained\n  shard-1/node-2 hands over to shard-1/node-3\n' +
      '  shard-1/node-2 leads on: no other node of it is well that may lead\n',
  )
  out = ''
  answers = () => ({ nodes: NODES, moves: [] })
  expect(await run('undrain', '--machine', 'm1', '--dry-run')).toBe(0)
  expect(out).toBe('machine m1 (1 node) would be undrained; no leader would move\n')
})

test('undrain returns at once, and says what spreading moves', async () => {
  answers = () => ({ nodes: NODES, moves: MOVES })
  expect(await run('undrain', 'shard-1/node-2')).toBe(0)
  expect(asked).toEqual([{ ...order, node: 'shard-1/node-2', undo: true }])
  expect(out).toBe('shard-1/node-2 may lead again; spreading moves\n  shard-1/node-2 hands over to shard-1/node-3\n')
})

test('a leader that cannot go is told, with the exit code of what failed; the drain stays', async () => {
  answers = () => ({ nodes: NODES, moves: STUCK })
  const fast: Clock = {
    ...{ now: () => 0, monotonic: () => systemClock.monotonic() * 1_000 },
    setTimeout: (work, ms) => systemClock.setTimeout(work, ms / 1_000),
  }
  const task = { ...order, node: 'shard-1/node-2', detach: false }
  const to = { address: listener.address, timeoutMs: 5_000 }
  expect(await drain(task, { json: false }, to, context, fast)).toBe(3)
  expect(out).toContain('shard-1/node-2 is drained, and what it leads goes as soon as that can be\n')
  expect(out).toContain('leads on: no other node of it is well that may lead\n')
})

test('one that is refused says why', async () => {
  answers = () => {
    throw new PreconditionFailedError('shard-1 would have nobody left', { outcome: 'not-applied' })
  }
  expect(await run('drain', 'shard-1/node-2')).toBe(3)
  expect(warned).toContain('shard-1 would have nobody left (PRECONDITION_FAILED)')
})

test.each([
  [['drain']],
  [['drain', 'shard-1/node-2', '--machine', 'm1']],
  [['undrain']],
  [['replace']],
  [['replace', 'shard-1/node-2', '--dry-run']],
  [['replace', '--machine', 'm1']],
])('node %j is no command', async (args) => {
  expect(await run(...args)).toBe(2)
  expect(asked).toEqual([])
})
