import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { UnavailableError } from '../errors/index.js'
import type { BatchMessage, BatchStream } from '../wire/batch-stream.js'
import { Condition, controlService, emptyStatus, type StatusResponse } from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { Role, State } from '../wire/node-admin.js'
import { type KvHandlers, kvService } from '../wire/services.js'
import { runCommand } from './program.js'

let listener: Listener
let rows: Map<string, Uint8Array>
let out: string
let warned: string
let status: () => Promise<StatusResponse>

beforeEach(async () => {
  rows = new Map()
  out = ''
  warned = ''
  status = async () => REPORT
  const services = [kvService(handlers()), controlService({ status: () => status() })]
  listener = await listen({ host: '127.0.0.1', port: 0 }, services)
})
afterEach(() => listener.close())

/** A gateway that holds its values in a Map. */
function handlers(): KvHandlers {
  const refuse = async () => {
    throw new UnavailableError('only Batch here', { outcome: 'not-applied' })
  }
  return {
    get: refuse,
    put: refuse,
    delete: refuse,
    clusterMap: async function* () {},
    batch: (stream) => {
      stream.listen({ onMessage: (message) => answer(stream, message), onEnd: () => stream.end(), onGone: () => {} })
    },
  }
}

function answer(stream: BatchStream, { id, operations }: BatchMessage): void {
  const results = operations.map((operation) => {
    const key = Buffer.from(operation?.key ?? []).toString()
    if (key === 'stuck') return new UnavailableError('no leader', { outcome: 'not-applied' })
    const value = rows.get(key)
    if (operation?.kind === 'put') rows.set(key, operation.value)
    if (operation?.kind === 'put') return { kind: 'put' as const, version: 1n }
    if (operation?.kind === 'delete') return { kind: 'delete' as const, existed: rows.delete(key) }
    return { kind: 'get' as const, found: value !== undefined, value: value ?? new Uint8Array(), version: 1n }
  })
  stream.send(id, results, () => {})
}

const node = (id: string, role: number, term: bigint) => ({
  name: `shard-1/node-${id}`,
  condition: Condition.UP,
  reason: '',
  status: {
    ...emptyStatus(),
    ...{ nodeId: id, shard: 1, address: `127.0.0.1:${id}`, pid: Number(id), appliedIndex: 7n },
    ...{ role: role as typeof Role.LEADER, state: State.SERVING, term },
  },
})

const REPORT: StatusResponse = {
  epoch: 4n,
  groups: [
    { shard: 0, nodes: [{ ...node('9', Role.LEADER, 1n), name: 'meta/node-1' }] },
    {
      shard: 1,
      nodes: [
        // A leader of an older term that does not know yet.
        node('1', Role.LEADER, 2n),
        node('2', Role.LEADER, 3n),
        { ...node('3', Role.FOLLOWER, 0n), condition: Condition.DOWN, reason: 'killed by SIGKILL' },
      ],
    },
  ],
}

function run(...args: string[]): Promise<number> {
  return runCommand(
    args,
    { KVORUM_ADDRESS: listener.address },
    {
      out: (text) => {
        out += text
      },
      warn: (text) => {
        warned += text
      },
      colours: false,
    },
  )
}

describe('put, get, delete', () => {
  test('do what they say', async () => {
    expect(await run('put', 'k1', 'värde')).toBe(0)
    expect(Buffer.from(rows.get('k1') ?? []).toString()).toBe('värde')
    expect(await run('get', 'k1')).toBe(0)
    expect(out).toBe('ok\nvärde\n')
    expect(await run('delete', 'k1')).toBe(0)
    expect(await run('delete', 'k1')).toBe(0)
    expect(rows.size).toBe(0)
    expect(warned).toBe('')
  })

  test('a key without a value is exit code 1, with words on stderr and nothing on stdout', async () => {
    expect(await run('get', 'nobody')).toBe(1)
    expect([out, warned]).toEqual(['', 'kvorum: the key "nobody" has no value\n'])
  })

  test('an empty value is a value', async () => {
    expect(await run('put', 'k', '')).toBe(0)
    expect(await run('get', 'k')).toBe(0)
    expect(out).toBe('ok\n\n')
  })

  test('a failure is exit code 3, with code and outcome', async () => {
    expect(await run('get', 'stuck', '--timeout', '200')).toBe(3)
    expect(warned).toMatch(/^kvorum: .*\((?:DEADLINE_EXCEEDED|UNAVAILABLE), not-applied\)\n$/)
  })

  test('the address may stand before or after the command, and wins over the variable', async () => {
    const { address } = listener
    await run('put', 'k', 'v')
    for (const args of [
      ['--address', address, 'get', 'k'],
      ['get', 'k', '--address', address],
    ]) {
      const code = await runCommand(
        args,
        { KVORUM_ADDRESS: '127.0.0.1:1' },
        { out: () => {}, warn: () => {}, colours: false },
      )
      expect(code).toBe(0)
    }
  })

  test.each([
    [['get']],
    [['put', 'k']],
    [['frobnicate']],
    [['get', 'k', '--loud']],
    [['get', 'k', '--timeout', 'soon']],
    [['get', 'k', '--timeout', '0']],
    [['get', '']],
    [['get', 'k', '--address', 'nowhere']],
  ])('%j is wrong usage: exit code 2', async (args) => {
    expect(await run(...args)).toBe(2)
    expect(warned).not.toBe('')
  })

  test('--help is no fault', async () => {
    expect(await run('--help')).toBe(0)
    expect(out).toContain('Exit codes: 0 done, 1 the key has no value, 2 wrong usage, 3 failed.')
  })
})

describe('status', () => {
  test('--json is for programs', async () => {
    expect(await run('status', '--json')).toBe(0)
    expect(JSON.parse(out)).toEqual({
      epoch: 4,
      shards: [
        {
          ...{ id: 1, leader: '2', term: 3 },
          nodes: [
            {
              ...{ id: '1', name: 'shard-1/node-1', pid: 1, address: '127.0.0.1:1' },
              role: 'leader',
              state: 'serving',
              applied: 7,
            },
            {
              ...{ id: '2', name: 'shard-1/node-2', pid: 2, address: '127.0.0.1:2' },
              role: 'leader',
              state: 'serving',
              applied: 7,
            },
            {
              ...{ id: '3', name: 'shard-1/node-3', pid: 3, address: '127.0.0.1:3' },
              ...{ role: 'unknown', state: 'down', applied: 7, reason: 'killed by SIGKILL' },
            },
          ],
        },
      ],
      meta: {
        ...{ id: 0, leader: '9', term: 1 },
        nodes: [
          {
            id: '9',
            name: 'meta/node-1',
            pid: 9,
            address: '127.0.0.1:9',
            role: 'leader',
            state: 'serving',
            applied: 7,
          },
        ],
      },
    })
  })

  test('without it there is a table for people, with the reason for what is not up', async () => {
    expect(await run('status')).toBe(0)
    expect(out).toMatch(/shard-1\/node-2.*leader.*serving/)
    expect(out).toMatch(/meta\/node-1/)
    expect(out).toContain('shard-1/node-3: killed by SIGKILL')
  })

  test('a gateway that cannot answer is exit code 3', async () => {
    status = async () => {
      throw new UnavailableError('stopping', { outcome: 'not-applied' })
    }
    expect(await run('status')).toBe(3)
    expect(warned).toBe('kvorum: stopping (UNAVAILABLE, not-applied)\n')
  })

  test('no gateway at all is exit code 3, and says where it looked', async () => {
    expect(await run('status', '--address', '127.0.0.1:1', '--timeout', '1000')).toBe(3)
    expect(warned).toContain('127.0.0.1:1')
  })
})
