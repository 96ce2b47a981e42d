import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PreconditionFailedError, UnavailableError } from '../errors/index.js'
import {
  Condition,
  type ControlHandlers,
  controlService,
  MoveState,
  type Operation,
  OperationState,
  type PlannedMove,
  Steer,
  StepState,
} from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import type { Context } from './context.js'
import { runCommand } from './program.js'

let listener: Listener
let handlers: Partial<ControlHandlers>
let asked: unknown[]
let out: string
let warned: string

beforeEach(async () => {
  asked = []
  out = ''
  warned = ''
  handlers = {
    scale: async (...request) => {
      asked.push(request)
      return operation(0)
    },
    replicas: async (...request) => {
      asked.push(['replicas', ...request])
      return operation(0)
    },
    replaceNode: async (...request) => {
      asked.push(['replaceNode', ...request])
      return operation(0)
    },
    status: async () => ({ epoch: 1n, groups: [3, 3, 3, 3].map((nodes, shard) => group(shard, nodes)) }),
    operations: async () => [operation(1, { detail: 'moving partitions from shard 1 to shard 4: copying' })],
    watch: updates,
    steer: async (...request) => {
      asked.push(request)
      return operation(1, { state: OperationState.PAUSED })
    },
  }
  const forwarded: ControlHandlers = controlHandlers({
    status: () => required(handlers.status)(),
    scale: (...request) => required(handlers.scale)(...request),
    replicas: (...request) => required(handlers.replicas)(...request),
    replaceNode: (...request) => required(handlers.replaceNode)(...request),
    operations: () => required(handlers.operations)(),
    watch: (...request) => required(handlers.watch)(...request),
    steer: (...request) => required(handlers.steer)(...request),
  })
  listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(forwarded)])
})
afterEach(() => listener.close())

function required<T>(handler: T | undefined): T {
  if (handler === undefined) throw new TypeError('not served')
  return handler
}

function move(from: number, to: number, state: MoveState): PlannedMove {
  const partitions = [{ first: 10 * from, last: 10 * from + 9 }]
  return { fromShard: from, toShard: to, partitions, state, records: 5n, bytes: 2048n, pauseUs: 900n, attempts: 1 }
}

/** With so many of its two moves done. */
function operation(done: number, changes: Partial<Operation> = {}): Operation {
  const state = (at: number) => (at < done ? MoveState.DONE : MoveState.WAITING)
  return {
    id: 'abc',
    kind: 'reshard',
    what: 'scale from 3 to 4 shards',
    state: OperationState.RUNNING,
    begunAt: 1_000n,
    endedAt: 0n,
    moves: [move(1, 4, state(0)), move(2, 4, state(1))],
    steps: [],
    detail: '',
    keys: undefined,
    ...changes,
  }
}

/** With so many nodes. */
function group(shard: number, nodes: number) {
  const where = { machine: '', zone: '' }
  const node = {
    name: '',
    condition: Condition.UP,
    reason: '',
    status: undefined,
    drained: false,
    slow: false,
    ...where,
  }
  return { shard, partitions: 0, nodes: Array.from({ length: nodes }, () => node) }
}

async function* updates(): AsyncGenerator<Operation> {
  yield operation(0, { detail: 'waiting for shard-4' })
  yield operation(1, { detail: 'moving partitions from shard 2 to shard 4: copying' })
  yield operation(2, { state: OperationState.DONE, endedAt: 4_000n })
}

function run(args: readonly string[], columns = 0): Promise<number> {
  const context: Context = {
    out: (text) => {
      out += text
    },
    warn: (text) => {
      warned += text
    },
    colours: false,
    columns,
    version: '0',
  }
  return runCommand([...args, '--address', listener.address], {}, context)
}

describe('scale', () => {
  beforeEach(() => {
    handlers.operations = async () => []
  })

  test('waits for the end, with a line for each step', async () => {
    expect(await run(['scale', '--shards', '4'])).toBe(0)
    expect(asked.at(-1)).toEqual([4, false])
    expect(out).toBe('operation abc is done: scale from 3 to 4 shards\n')
    expect(warned).toBe(
      'operation abc: scale from 3 to 4 shards; it goes on without this command, kvorum operations cancel abc takes it back\n' +
        'running: 0 of 20 partitions, waiting for shard-4\n' +
        'running: 10 of 20 partitions, moving partitions from shard 2 to shard 4\n',
    )
  })

  test('draws a bar on a terminal, with the time that is left, and wipes it away', async () => {
    expect(await run(['scale', '--shards', '4'], 200)).toBe(0)
    const lines = warned.split('\r\u001b[2K')
    expect(lines[1]).toBe('[------------------------] 0 %  0 of 20 partitions  4.0 KiB  waiting for shard-4')
    expect(lines[2]).toMatch(
      /^\[#{12}-{12}\] 50 % {2}10 of 20 partitions {2}4.0 KiB {2}ETA \d+ s {2}moving partitions .*: copying$/,
    )
    expect(lines.at(-1)).toBe('')
  })

  test('draws no bar that is longer than a line', async () => {
    expect(await run(['scale', '--shards', '4'], 40)).toBe(0)
    const [, ...bars] = warned.split('\r\u001b[2K')
    expect(Math.max(...bars.map(({ length }) => length))).toBe(39)
  })

  test('of a kind without moves is told by its steps', async () => {
    const steps = ['add a node to meta', 'add a node to shard-1'].map((what) => ({ what, detail: '' }))
    const stepped = (done: number, changes: Partial<Operation> = {}) =>
      operation(0, {
        kind: 'replicas',
        moves: [],
        steps: steps.map((step, at) => ({ ...step, state: at < done ? StepState.DONE : StepState.WAITING })),
        ...changes,
      })
    handlers.watch = async function* () {
      yield stepped(0, { detail: 'starting meta/node-4' })
      yield stepped(1, { detail: 'starting shard-1/node-4' })
      yield stepped(2, { state: OperationState.DONE, endedAt: 4_000n })
    }
    expect(await run(['scale', '--shards', '4'])).toBe(0)
    expect(warned).toContain('running: 0 of 2 steps, starting meta/node-4\nrunning: 1 of 2 steps, starting shard-1')
    warned = ''
    expect(await run(['scale', '--shards', '4'], 200)).toBe(0)
    expect(warned).toMatch(/50 % {2}1 of 2 steps {2}ETA \d+ s {2}starting shard-1\/node-4/)
    handlers.operations = async () => [stepped(1)]
    out = ''
    expect(await run(['operations'])).toBe(0)
    expect(out).toMatch(/running +│ 1 of 2 steps +│/)
  })

  test('--detach returns when it has begun', async () => {
    expect(await run(['scale', '--shards', '4', '--detach'])).toBe(0)
    expect(out).toBe('operation abc: scale from 3 to 4 shards; kvorum operations shows how far it is\n')
  })

  test('--dry-run shows who gives whom how much', async () => {
    expect(await run(['scale', '--shards', '4', '--dry-run'])).toBe(0)
    expect(asked).toEqual([[4, true]])
    expect(out).toMatch(/│ 1 +│ 4 +│ 10 +│ 1 +│/)
    expect(out).toContain(
      'scale from 3 to 4 shards: 20 partitions would move, in 2 moves; 15 processes instead of 12; nothing was done\n',
    )
    out = ''
    handlers.scale = async () => operation(0, { id: '', moves: [], state: OperationState.DONE })
    expect(await run(['scale', '--shards', '3', '--dry-run'])).toBe(0)
    expect(out).toBe('there are 3 shards already; nothing was done\n')
  })

  test('--dry-run is planned, for programs', async () => {
    expect(await run(['scale', '--shards', '4', '--dry-run', '--json'])).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      state: 'planned',
      partitions: { moved: 0, total: 20 },
      processes: { now: 12, after: 15 },
    })
  })

  test('one that may have begun says so', async () => {
    handlers.scale = async () => {
      throw new UnavailableError('no word', { outcome: 'unknown' })
    }
    expect(await run(['scale', '--shards', '4'])).toBe(3)
    expect(warned).toMatch(/no word: it may have begun, kvorum operations shows it/)
  })

  test('one that cannot begin now says why, and nothing of logs', async () => {
    handlers.scale = async () => {
      throw new PreconditionFailedError('operation xyz is under way', { outcome: 'not-applied' })
    }
    expect(await run(['scale', '--shards', '4'])).toBe(3)
    expect(warned).toMatch(/operation xyz is under way \(PRECONDITION_FAILED\)\n$/)
  })

  test('to what is there already is done', async () => {
    handlers.scale = async () => operation(0, { id: '', moves: [], state: OperationState.DONE })
    expect(await run(['scale', '--shards', '4'])).toBe(0)
    expect(out).toBe('there are 4 shards already\n')
  })

  test('that somebody else cancels has failed', async () => {
    handlers.watch = async function* () {
      yield operation(0, { state: OperationState.CANCELLED })
    }
    expect(await run(['scale', '--shards', '4'])).toBe(3)
    expect(out).toBe('operation abc is cancelled: scale from 3 to 4 shards\n')
  })

  test('is followed over a broken connection', async () => {
    let times = 0
    handlers.watch = async function* () {
      if (times++ > 0) yield* updates()
      yield operation(0)
      throw new UnavailableError('the orchestrator died', { outcome: 'unknown' })
    }
    expect(await run(['scale', '--shards', '4', '--json'])).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ id: 'abc', state: 'done', partitions: { moved: 20, total: 20 } })
    expect(times).toBe(2)
  })

  test('says what speaks against it, in a dry run and before it begins', async () => {
    const detail = 'with 1 replica nothing has a second copy'
    const steps = [{ what: 'take shard-1/node-3 away from shard-1', state: StepState.WAITING, detail: '' }]
    handlers.replicas = async (_, dryRun) => operation(0, { moves: [], steps, detail: dryRun ? detail : '' })
    expect(await run(['scale', '--replicas', '1', '--dry-run'])).toBe(0)
    expect(out).toMatch(/^take shard-1\/node-3 away from shard-1\n.*nothing was done; mind that with 1 replica nothing/)
    out = ''
    expect(await run(['scale', '--replicas', '1', '--detach'])).toBe(0)
    expect(warned).toBe(`kvorum: mind that ${detail}\n`)
    expect(out).toMatch(/^operation abc: /)
  })

  test('changes the number of replicas as well', async () => {
    expect(await run(['scale', '--replicas', '5', '--detach'])).toBe(0)
    expect(asked.at(-1)).toEqual(['replicas', 5, false])
    handlers.replicas = async () => operation(0, { id: '', moves: [], state: OperationState.DONE })
    out = ''
    expect(await run(['scale', '--replicas', '5'])).toBe(0)
    expect(out).toBe('there are 5 replicas already\n')
    const steps = [{ what: 'add a node to meta', state: StepState.WAITING, detail: '' }]
    handlers.replicas = async () =>
      operation(0, { id: '', kind: 'replicas', what: 'scale from 3 to 5 replicas', moves: [], steps })
    out = ''
    expect(await run(['scale', '--replicas', '5', '--dry-run'])).toBe(0)
    expect(out).toBe('add a node to meta\nscale from 3 to 5 replicas: 20 processes instead of 12; nothing was done\n')
  })

  test.each([
    ['--shards', '0'],
    ['--shards', '257'],
    ['--shards', 'x'],
    ['--replicas', '8'],
    ['--shards', '2', '--replicas', '3'],
    [],
  ])('with %s %s %s %s is no command', async (...args) => {
    expect(await run(['scale', ...args])).toBe(2)
    expect(asked).toEqual([])
  })

  test('that is refused says why', async () => {
    handlers.scale = async () => {
      throw new PreconditionFailedError('operation xyz is under way', { outcome: 'not-applied' })
    }
    expect(await run(['scale', '--shards', '4'])).toBe(3)
    expect(warned).toContain('failed: operation xyz is under way (PRECONDITION_FAILED)')
  })
})

describe('node', () => {
  beforeEach(() => {
    handlers.operations = async () => []
  })

  test('replace puts a new one in its place', async () => {
    expect(await run(['node', 'replace', 'shard-1/node-2'])).toBe(0)
    expect(asked).toEqual([['replaceNode', 'shard-1/node-2']])
    expect(out).toContain('operation abc is done')
    out = ''
    expect(await run(['node', 'replace', 'shard-1/node-2', '--detach'])).toBe(0)
    expect(out).toContain('kvorum operations shows how far it is')
  })

  test('takes nothing else', async () => {
    expect(await run(['node', 'remove', 'shard-1/node-2'])).toBe(2)
    expect(warned).toContain('kvorum node takes replace')
    expect(asked).toEqual([])
  })
})

describe('operations', () => {
  test('are listed', async () => {
    expect(await run(['operations'])).toBe(0)
    expect(out).toMatch(/│ abc +│ scale from 3 to 4 shards +│ running +│ 10 of 20 partitions +│/)
    expect(out).toContain('abc: moving partitions from shard 1 to shard 4: copying\n')
    out = ''
    handlers.operations = async () => []
    expect(await run(['operations'])).toBe(0)
    expect(out).toBe('no operations\n')
  })

  test('a cancelled one that has nothing to take back says so', async () => {
    const cancelled = { kind: 'rolling', what: 'a roll', moves: [], state: OperationState.CANCELLED, endedAt: 3_000n }
    handlers.operations = async () => [operation(0, cancelled)]
    expect(await run(['operations'])).toBe(0)
    expect(out).toMatch(/│ a roll +│ cancelled +│ nothing to take back +│ 2 s +│/)
  })

  test('are listed for programs, without what grows with the cluster', async () => {
    expect(await run(['operations', '--json'])).toBe(0)
    expect(JSON.parse(out)).toEqual({
      operations: [
        {
          id: 'abc',
          kind: 'reshard',
          what: 'scale from 3 to 4 shards',
          state: 'running',
          begunAt: 1000,
          endedAt: null,
          detail: 'moving partitions from shard 1 to shard 4: copying',
          partitions: { moved: 10, total: 20 },
          keys: null,
          amount: { done: 10, total: 20, unit: 'partitions' },
        },
      ],
    })
  })

  test('one of them is shown in full, by its id', async () => {
    expect(await run(['operations', 'abc'])).toBe(0)
    expect(out).toMatch(/^operation abc \(reshard\): scale from 3 to 4 shards\n/)
    expect(out).toMatch(/│ shard-1 +│ shard-4 +│ 10-19 +│ done +│ 2.0 KiB +│ 1 +│/)
    expect(out).toMatch(/running: 10 of 20 partitions, for .*\nmoving partitions from shard 1 to shard 4: copying\n$/)
    out = ''
    expect(await run(['operations', 'abc', '--json'])).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      id: 'abc',
      partitions: { moved: 10, total: 20 },
      moves: [
        { from: 1, to: 4, partitions: [{ first: 10, last: 19 }], state: 'done', records: 5, bytes: 2048, pauseUs: 900 },
        { from: 2, to: 4, state: 'waiting' },
      ],
    })
    const steps = [{ what: 'restart meta/node-1', state: StepState.DONE, detail: '' }]
    handlers.operations = async () => [operation(0, { kind: 'rolling', what: 'a roll', moves: [], steps })]
    out = ''
    expect(await run(['operations', 'abc'])).toBe(0)
    expect(out).toMatch(/│ restart meta\/node-1 +│ done +│/)
    expect(await run(['operations', 'xyz'])).toBe(2)
    expect(warned).toContain('there is no operation "xyz"; kvorum operations lists them')
  })

  test.each([
    ['pause', Steer.PAUSE],
    ['resume', Steer.RESUME],
    ['cancel', Steer.CANCEL],
  ])('%s one of them', async (word, steer) => {
    expect(await run(['operations', word, 'abc'])).toBe(0)
    expect(asked).toEqual([['abc', steer]])
    expect(out).toBe('operation abc is paused: scale from 3 to 4 shards\n')
  })

  test.each([['stop', 'abc'], ['pause']])('%s %s is no command', async (...args) => {
    expect(await run(['operations', ...args])).toBe(2)
    expect(warned).toContain('kvorum operations takes pause, resume, cancel and an id, or an id alone, or nothing')
    expect(asked).toEqual([])
  })
})
