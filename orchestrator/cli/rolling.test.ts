import { resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PreconditionFailedError } from '../errors/index.js'
import { type ControlHandlers, controlService, type Operation, OperationState, StepState } from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import { runCommand } from './program.js'

let listener: Listener
let handlers: Partial<ControlHandlers>
let asked: unknown[]
let out: string
let warned: string
/** What has not ended before the command begins, and what its operation is like then. */
let open: Operation[]
let begun: Partial<Operation>

beforeEach(async () => {
  asked = []
  out = ''
  warned = ''
  open = []
  begun = {}
  handlers = {
    watch: async function* () {
      yield operation(0, { detail: 'restarting shard-1/node-1' })
      yield operation(2, { state: OperationState.DONE, endedAt: 9n })
    },
  }
  const begin = (what: string) => async (of: string) => {
    asked.push([what, of])
    return operation(0, begun)
  }
  const served = controlHandlers({
    operations: async () => open,
    restart: begin('restart'),
    upgrade: begin('upgrade'),
    watch: (...request) => (handlers.watch as ControlHandlers['watch'])(...request),
  })
  const forwarded = { ...served, upgrade: (path: string) => (handlers.upgrade ?? served.upgrade)(path) }
  listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(forwarded)])
})
afterEach(() => listener.close())

/** With so many of its two nodes done. */
function operation(done: number, changes: Partial<Operation> = {}): Operation {
  const steps = [1, 2].map((at) => ({
    what: `restart shard-1/node-${at}`,
    state: at <= done ? StepState.DONE : StepState.WAITING,
    detail: '',
  }))
  const state = OperationState.RUNNING
  return {
    id: 'abc',
    kind: 'rolling',
    what: 'a roll',
    state,
    begunAt: 1n,
    endedAt: 0n,
    moves: [],
    steps,
    detail: '',
    keys: undefined,
    ...changes,
  }
}

function run(args: readonly string[]): Promise<number> {
  const context = {
    out: (text: string) => {
      out += text
    },
    warn: (text: string) => {
      warned += text
    },
    colours: false,
    columns: 0,
    version: '0',
  }
  return runCommand(args, { KVORUM_ADDRESS: listener.address }, context)
}

test.each([
  [
    ['restart', '--rolling'],
    ['restart', ''],
  ],
  [
    ['restart', 'shard-1/node-2'],
    ['restart', 'shard-1/node-2'],
  ],
  [
    ['upgrade', '--binary', 'here/kvnode'],
    ['upgrade', resolve('here/kvnode')],
  ],
  [['upgrade'], ['upgrade', '']],
])('%j asks for it and follows it', async (args, request) => {
  expect(await run(args)).toBe(0)
  expect(asked).toEqual([request])
  expect(warned).toContain('running: 0 of 2 steps, restarting shard-1/node-1')
  expect(out).toBe('operation abc is done: a roll\n')
})

test.each([[['restart']], [['restart', 'shard-1/node-2', '--rolling']]])('%j is no command', async (args) => {
  expect(await run(args)).toBe(2)
  expect(warned).toContain('kvorum restart takes a node, or --rolling for all of them')
  expect(asked).toEqual([])
})

test('one that is under way already is carried on, which is said', async () => {
  open = [operation(1)]
  expect(await run(['restart', '--rolling'])).toBe(0)
  expect(warned).toMatch(/^operation abc is under way already, 0 of 2 steps: a roll; it goes on without this command/)
  expect(await run(['upgrade', '--detach'])).toBe(0)
  expect(out).toContain('operation abc is under way already, 0 of 2 steps: a roll; kvorum operations shows')
})

test('one that is paused is not waited for in silence', async () => {
  open = [operation(1)]
  begun = { state: OperationState.PAUSED }
  expect(await run(['restart', '--rolling'])).toBe(0)
  expect(warned).toContain('it is paused: kvorum operations resume abc lets it go on\n')
  expect(await run(['restart', '--rolling', '--detach'])).toBe(0)
  expect(out).toContain('a roll; it is paused, and kvorum operations resume abc lets it go on\n')
})

test('--detach returns when it has begun', async () => {
  expect(await run(['restart', '--rolling', '--detach'])).toBe(0)
  expect(out).toBe('operation abc: a roll; kvorum operations shows how far it is\n')
})

test('one that has paused by itself is told, and ends the command with a failure', async () => {
  handlers.watch = async function* () {
    yield operation(1, { state: OperationState.PAUSED, detail: 'shard-1/node-2 did not come up: gone' })
    throw new Error('not asked any further')
  }
  expect(await run(['upgrade'])).toBe(3)
  expect(warned).toContain('operation abc has paused: shard-1/node-2 did not come up: gone\n')
  expect(warned).toContain('kvorum operations resume abc tries again, and cancel abc leads back\n')
  expect(out).toBe('operation abc is paused: a roll\n')
})

test('one that has gone on without a node names it, and ends the command with a failure', async () => {
  handlers.watch = async function* () {
    const { steps } = operation(1)
    const skipped = { state: StepState.SKIPPED, detail: 'machine m2 has not been heard for too long' }
    const left = steps.map((step, at) => (at === 1 ? { ...step, ...skipped } : step))
    yield operation(1, { state: OperationState.DONE, endedAt: 9n, steps: left })
  }
  expect(await run(['restart', '--rolling'])).toBe(3)
  expect(warned).toContain('skipped: restart shard-1/node-2: machine m2 has not been heard for too long\n')
  expect(out).toBe('operation abc is done: a roll\n')
})

test('one that a person has paused is waited for', async () => {
  handlers.watch = async function* () {
    yield operation(1, { state: OperationState.PAUSED })
    yield operation(2, { state: OperationState.DONE, endedAt: 9n })
  }
  expect(await run(['restart', '--rolling'])).toBe(0)
})

test('where everything is so already nothing is followed', async () => {
  handlers.upgrade = async () => operation(0, { id: '', state: OperationState.DONE, steps: [] })
  expect(await run(['upgrade'])).toBe(0)
  expect(out).toBe('nothing to do, it is so already: a roll\n')
})

test('a program that is none is a failure in words', async () => {
  handlers.upgrade = async () => {
    throw new PreconditionFailedError('there is no program /x', { outcome: 'not-applied' })
  }
  expect(await run(['upgrade', '--binary', '/x'])).toBe(3)
  expect(warned).toContain('there is no program /x')
})
