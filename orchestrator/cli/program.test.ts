import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PARTITIONS } from '../core/slot.js'
import { makeClusterMap } from '../core/topology.js'
import { OverloadedError, UnavailableError } from '../errors/index.js'
import type { BatchMessage, BatchStream } from '../wire/batch-stream.js'
import { Condition, controlService, emptyStatus, type StatusResponse } from '../wire/control.js'
import { type Listener, listen } from '../wire/listener.js'
import { Role, State } from '../wire/node-admin.js'
import { type KvHandlers, kvService } from '../wire/services.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import { runCommand } from './program.js'

let listener: Listener
let rows: Map<string, Uint8Array>
let out: string
let bounds: (number | undefined)[]
let warned: string
let status: () => Promise<StatusResponse>

beforeEach(async () => {
  rows = new Map()
  bounds = []
  out = ''
  warned = ''
  status = async () => REPORT
  const services = [kvService(handlers()), controlService(controlHandlers({ status: () => status() }))]
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
    transaction: refuse,
    clusterMap,
    batch: (stream) => {
      stream.listen({ onMessage: (message) => answer(stream, message), onEnd: () => stream.end(), onGone: () => {} })
    },
  }
}

/** One shard for everything: writes ask whose they are. */
async function* clusterMap(signal: AbortSignal) {
  const shards = [{ id: 1, nodes: [{ id: 'n1', address: listener.address }] }]
  yield makeClusterMap({ clusterId: 'fake', epoch: 1n, owners: Array(PARTITIONS).fill(1), shards })
  await once(signal, 'abort')
}

function answer(stream: BatchStream, { id, operations }: BatchMessage): void {
  const results = operations.map((operation) => {
    if (operation?.kind === 'open-session') return { kind: 'open-session' as const, id: Buffer.alloc(16, 1) }
    const key = Buffer.from(operation?.key ?? []).toString()
    // Nothing is sent again, so that no answer can come too late on a busy machine.
    if (key === 'stuck') return new OverloadedError('no leader', { outcome: 'not-applied', retryAfterMs: 60_000 })
    if (key === 'doubt') return new UnavailableError('it died', { outcome: 'unknown' })
    const value = rows.get(key)
    if (operation?.kind === 'put') rows.set(key, operation.value)
    if (operation?.kind === 'put') return { kind: 'put' as const, version: 1n }
    if (operation?.kind === 'append') {
      const grown = Buffer.concat([value ?? new Uint8Array(), operation.value])
      rows.set(key, grown)
      return { kind: 'append' as const, version: 1n, length: grown.byteLength }
    }
    if (operation?.kind === 'delete') return { kind: 'delete' as const, existed: rows.delete(key) }
    if (operation?.kind === 'get') bounds.push(operation.staleMs)
    return { kind: 'get' as const, found: value !== undefined, value: value ?? new Uint8Array(), version: 1n }
  })
  stream.send(id, results, () => {})
}

const node = (id: string, role: number, term: bigint) => ({
  ...{ drained: false, slow: false },
  name: `shard-1/node-${id}`,
  condition: Condition.UP,
  reason: '',
  ...{ machine: `m${id}`, zone: `z${id}` },
  status: {
    ...emptyStatus(),
    ...{ nodeId: id, shard: 1, address: `127.0.0.1:${id}`, pid: Number(id), appliedIndex: 7n },
    ...{ role: role as typeof Role.LEADER, state: State.SERVING, term },
  },
})

const REPORT: StatusResponse = {
  epoch: 4n,
  groups: [
    { shard: 0, partitions: 1024, nodes: [{ ...node('9', Role.LEADER, 1n), name: 'meta/node-1' }] },
    {
      shard: 1,
      partitions: 1024,
      nodes: [
        // A leader of an older term that does not know yet.
        node('1', Role.LEADER, 2n),
        node('2', Role.LEADER, 3n),
        {
          ...node('3', Role.FOLLOWER, 0n),
          condition: Condition.DOWN,
          reason: 'killed by SIGKILL',
          drained: true,
          machine: '',
          zone: '',
        },
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
      columns: 0,
      version: '1.2.3',
    },
  )
}

describe('agent', () => {
  test.each([
    [['agent'], 2, /required option '--data <directory>' not specified/],
    [['agent', '--data', 'd'], 2, /required option '--name <name>' not specified/],
    [
      ['agent', '--data', 'd', '--name', 'm1', '--listen', '0.0.0.0:1'],
      2,
      /^kvorum agent: --listen 0.0.0.0:1: the address/,
    ],
    [['agent', '--data', 'd', '--name', 'm 1'], 2, /^kvorum agent: "m 1" cannot be the name of a machine/],
    [
      ['agent', '--data', 'd', '--name', 'm1', '--listen', 'here'],
      2,
      /^kvorum agent: --listen here: host:port is needed/,
    ],
  ])('%j cannot start', async (args, code, says) => {
    expect(await run(...args)).toBe(code)
    expect(warned).toMatch(says)
  })
})

describe('put, get, append, delete', () => {
  test('do what they say', async () => {
    expect(await run('put', 'k1', 'värde')).toBe(0)
    expect(Buffer.from(rows.get('k1') ?? []).toString()).toBe('värde')
    expect(await run('get', 'k1')).toBe(0)
    expect(await run('get', 'k1', '--stale', '500')).toBe(0)
    expect(out).toBe('ok\nvärde\nvärde\n')
    expect(bounds).toEqual([undefined, 500])
    expect(await run('delete', 'k1')).toBe(0)
    expect(await run('delete', 'k1')).toBe(0)
    expect(rows.size).toBe(0)
    expect(warned).toBe('')
  })

  test('append says how many bytes the value has now; an absent key is empty', async () => {
    expect(await run('append', 'log', 'å')).toBe(0)
    expect(await run('append', 'log', 'bc')).toBe(0)
    expect(await run('get', 'log')).toBe(0)
    expect([out, warned]).toEqual(['2\n4\nåbc\n', ''])
  })

  test('what was not UTF-8 is wrong usage, and nothing is sent', async () => {
    const broken = Buffer.from([0xff]).toString()
    for (const args of [
      ['get', broken],
      ['put', 'k', broken],
      ['append', broken, 'v'],
      ['delete', broken, '--json'],
    ]) {
      warned = ''
      expect(await run(...args)).toBe(2)
      expect(warned).toMatch(/^kvorum: the argument "\ufffd" is not UTF-8 .*\n$/)
    }
    expect([out, rows.size]).toEqual(['', 0])
  })

  test('a long key is shortened where people read it, and nowhere else', async () => {
    const key = 'k'.repeat(1000)
    const words = `"${'k'.repeat(64)}"...`
    expect(await run('get', key)).toBe(1)
    expect(warned).toBe(`kvorum: the key ${words} has no value\n`)
    expect(await run('get', key, '--address', '127.0.0.1:1', '--json')).toBe(3)
    expect(await run('get', 'k'.repeat(70_000))).toBe(2)
    expect(warned).toContain(`get ${words} on `)
    expect(warned.length).toBeLessThan(1_000)
    out = ''
    await run('get', key, '--json')
    expect(JSON.parse(out)).toEqual({ ok: true, key, value: null })
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

  test('a failed read is exit code 3: what, where, the code, what to do; reads have no outcome', async () => {
    expect(await run('get', 'stuck', '--timeout', '200')).toBe(3)
    expect(warned).toMatch(
      /^kvorum: get "stuck" on 127\.0\.0\.1:\d+ failed: .*no leader \((?:DEADLINE_EXCEEDED|UNAVAILABLE)\); try again;.*\n$/,
    )
  })

  test.each([
    ['stuck', /, not-applied\); nothing was changed: try again/],
    ['doubt', /, unknown\); it may have been done: read the key before you write again/],
  ])('a failed write (%s) is exit code 3, with its outcome as well', async (key, words) => {
    expect(await run('put', key, 'v', '--timeout', '200')).toBe(3)
    expect(warned).toMatch(words)
    expect(warned.trim()).not.toContain('\n')
    warned = ''
    expect(await run('delete', key, '--timeout', '200')).toBe(3)
    expect(warned).toMatch(words)
    warned = ''
    expect(await run('append', key, 'v', '--timeout', '200')).toBe(3)
    expect(warned).toMatch(words)
  })

  test('--json is for programs', async () => {
    const answer = async (...args: string[]): Promise<unknown> => {
      out = ''
      const code = await run(...args, '--json')
      return { code, ...JSON.parse(out) }
    }
    expect(await answer('get', 'k')).toEqual({ code: 1, ok: true, key: 'k', value: null })
    expect(await answer('put', 'k', 'v')).toEqual({ code: 0, ok: true, key: 'k' })
    expect(await answer('get', 'k')).toEqual({ code: 0, ok: true, key: 'k', value: 'v' })
    expect(await answer('append', 'k', 'w')).toEqual({ code: 0, ok: true, key: 'k', length: 2 })
    expect(await answer('delete', 'k')).toEqual({ code: 0, ok: true, key: 'k', existed: true })
    expect(warned).toBe('')
    const error = { code: expect.any(String), message: expect.stringContaining('no leader') }
    const soon = ['--timeout', '200']
    expect(await answer('get', 'stuck', ...soon)).toEqual({ code: 3, ok: false, error })
    const told = { ...error, outcome: 'not-applied' }
    expect(await answer('put', 'stuck', 'v', ...soon)).toEqual({ code: 3, ok: false, error: told })
  })

  test.each([[['put', 'k', 'v']], [['get', 'k']], [['delete', 'k']], [['status']]])(
    '%j without a server is one line, soon, and exit code 3',
    async (args) => {
      const begin = performance.now()
      expect(await run(...args, '--address', '127.0.0.1:1')).toBe(3)
      expect(performance.now() - begin).toBeLessThan(1_500)
      expect([out, warned]).toEqual([
        '',
        'kvorum: no Kvorum server answers on 127.0.0.1:1 (nobody listens there); start one with npm start, or say --address\n',
      ])
    },
  )

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
        { out: () => {}, warn: () => {}, colours: false, columns: 0, version: '' },
      )
      expect(code).toBe(0)
    }
  })

  test.each([
    [['get']],
    [['put', 'k']],
    [['append', 'k']],
    [['frobnicate']],
    [['get', 'k', '--loud']],
    [['get', 'k', '--stale', '0']],
    [['get', 'k', '--timeout', 'soon']],
    [['get', 'k', '--timeout', '0']],
    [['get', '']],
    [['get', 'k', '--address', 'nowhere']],
  ])('%j is wrong usage: exit code 2', async (args) => {
    expect(await run(...args)).toBe(2)
    expect(warned).not.toBe('')
  })

  test('--version is no fault', async () => {
    expect(await run('--version')).toBe(0)
    expect([out, warned]).toEqual(['1.2.3\n', ''])
  })

  test('--help is no fault', async () => {
    expect(await run('--help')).toBe(0)
    expect(out).toContain('Exit codes: 0 done, 1 the key has no value or another one, 2 wrong usage, 3 failed.')
  })
})

describe('status', () => {
  test('--json is for programs', async () => {
    expect(await run('status', '--json')).toBe(0)
    expect(JSON.parse(out)).toEqual({
      epoch: 4,
      shards: [
        {
          ...{ id: 1, leader: '2', term: 3, partitions: 1024 },
          nodes: [
            {
              ...{ id: '1', name: 'shard-1/node-1', pid: 1, address: '127.0.0.1:1', machine: 'm1', zone: 'z1' },
              role: 'leader',
              state: 'serving',
              applied: 7,
            },
            {
              ...{ id: '2', name: 'shard-1/node-2', pid: 2, address: '127.0.0.1:2', machine: 'm2', zone: 'z2' },
              role: 'leader',
              state: 'serving',
              applied: 7,
            },
            {
              ...{ id: '3', name: 'shard-1/node-3', pid: 3, address: '127.0.0.1:3', machine: null, zone: null },
              ...{ role: 'unknown', state: 'down', applied: 7, reason: 'killed by SIGKILL', drained: true },
            },
          ],
        },
      ],
      meta: {
        ...{ id: 0, leader: '9', term: 1, partitions: 1024 },
        nodes: [
          {
            id: '9',
            name: 'meta/node-1',
            pid: 9,
            address: '127.0.0.1:9',
            machine: 'm9',
            zone: 'z9',
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
    expect(out).toMatch(/shard-1\/node-2.*m2.*z2.*leader.*serving/)
    expect(out).toContain('partitions: shard-1 1024; map epoch 4\n')
    expect(out).toMatch(/meta\/node-1/)
    expect(out).toContain('shard-1/node-3: killed by SIGKILL')
    expect(out).toContain('down, drained')
  })

  test('on one machine the table does not name it in every row', async () => {
    const groups = REPORT.groups.map((group) => ({
      ...group,
      nodes: group.nodes.map((one) => ({ ...one, machine: 'localhost', zone: 'localhost' })),
    }))
    status = async () => ({ ...REPORT, groups })
    await run('status')
    expect(out).not.toMatch(/machine|localhost/)
  })

  test('a gateway that cannot answer is exit code 3', async () => {
    status = async () => {
      throw new UnavailableError('stopping', { outcome: 'not-applied' })
    }
    expect(await run('status')).toBe(3)
    expect(warned).toBe(`kvorum: status on ${listener.address} failed: stopping (UNAVAILABLE); try again\n`)
  })

  test('what gRPC found by itself is told in words of ours', async () => {
    status = () => new Promise(() => {})
    expect(await run('status', '--timeout', '100')).toBe(3)
    expect(warned).toContain(
      `status on ${listener.address} failed: no answer from ${listener.address} within 100 ms (DEADLINE_EXCEEDED); try again`,
    )
    warned = ''
    const other = await listen({ host: '127.0.0.1', port: 0 }, [kvService(handlers())])
    expect(await run('status', '--address', other.address)).toBe(3)
    await other.close()
    expect(warned).toContain('it is another version of Kvorum, or something else (UNSUPPORTED)')
  })
})
