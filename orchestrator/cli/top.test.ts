import { expect, test } from 'vitest'
import { UnavailableError } from '../errors/index.js'
import { Condition, controlService, emptyStatus, type StatusResponse } from '../wire/control.js'
import { listen } from '../wire/listener.js'
import { Role } from '../wire/node-admin.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import { runCommand } from './program.js'
import { loadsOf } from './top.js'

function node(index: number, role: number, applied: bigint, commit: bigint, changes: object = {}) {
  const told = {
    ...emptyStatus(),
    role: role as typeof Role.LEADER,
    appliedIndex: applied,
    commitIndex: commit,
    pid: 7,
    term: 2n,
  }
  const where = { machine: 'm', zone: 'z', drained: false, slow: false }
  return {
    name: `shard-1/node-${index}`,
    condition: Condition.UP,
    reason: '',
    ...where,
    status: { ...told, ...changes },
  }
}

function report(applied: bigint): StatusResponse {
  const nodes = [
    node(1, Role.LEADER, applied, applied),
    node(2, Role.FOLLOWER, applied - 5n, applied - 1n, { appendUs: 7_500 }),
    { ...node(3, Role.FOLLOWER, 0n, 0n), condition: Condition.DOWN },
  ]
  return { epoch: 4n, groups: [{ shard: 1, partitions: 1024, nodes }] }
}

test('rates are of what was done between two looks', () => {
  const [shard] = loadsOf({ at: 1_000, status: report(100n) }, { at: 3_000, status: report(300n) })
  expect(shard).toMatchObject({ shard: 1, leader: 'shard-1/node-1', up: 2, partitions: 1024, entriesPerSecond: 100 })
  expect(shard?.nodes).toEqual([
    { name: 'shard-1/node-1', role: 'leader', answers: true, behind: 0, appliedPerSecond: 100, appendMs: null },
    { name: 'shard-1/node-2', role: 'follower', answers: true, behind: 5, appliedPerSecond: 100, appendMs: 7.5 },
    { name: 'shard-1/node-3', role: 'unknown', answers: false, behind: 300, appliedPerSecond: null, appendMs: null },
  ])
})

test('of a node that was started again, and of a shard that is new, no rate is known', () => {
  const again = report(300n)
  const restarted = {
    ...again,
    groups: again.groups.map((group) => ({ ...group, nodes: [node(1, Role.LEADER, 300n, 300n, { pid: 8 })] })),
  }
  const [shard] = loadsOf({ at: 0, status: report(100n) }, { at: 1_000, status: restarted })
  expect(shard?.nodes[0]?.appliedPerSecond).toBeNull()
  const [fresh] = loadsOf({ at: 0, status: { epoch: 1n, groups: [] } }, { at: 1_000, status: report(100n) })
  expect(fresh?.entriesPerSecond).toBeNull()
})

test('it goes on until the server is gone, and draws anew on a terminal only', async () => {
  let out = ''
  let left = 0
  const status = async () => {
    if (left-- === 0) throw new UnavailableError('it stops', { outcome: 'not-applied' })
    return report(100n)
  }
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(controlHandlers({ status }))])
  const run = async (redraws: boolean) => {
    out = ''
    left = 3
    const add = (text: string) => {
      out += text
    }
    const context = { out: add, warn: () => {}, colours: false, redraws, columns: 0, version: '0' }
    return runCommand(['top', '--every', '0.1', '--address', listener.address], {}, context)
  }
  expect(await run(true)).toBe(3)
  expect(out.split('\u001b[H\u001b[J')).toHaveLength(3)
  expect(await run(false)).toBe(3)
  expect(out).not.toContain('\u001b')
  expect(out.match(/map epoch 4/g)).toHaveLength(2)
  await listener.close()
})

test('--once prints one table without colours or cursor movement, and --json one line', async () => {
  let asked = 0
  const handlers = controlHandlers({ status: async () => report(100n + BigInt(asked++) * 10n) })
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(handlers)])
  let out = ''
  const context = {
    out: (text: string) => {
      out += text
    },
    warn: () => {},
    colours: false,
    columns: 0,
    version: '0',
  }
  const address = ['--address', listener.address]
  expect(await runCommand(['top', '--once', '--every', '0.1', ...address], {}, context)).toBe(0)
  expect(asked).toBe(2)
  expect(out).not.toContain('\u001b')
  expect(out).toMatch(/│ shard-1 +│ shard-1\/node-1 +│ 2 of 3 +│ 1024 +│ \d/)
  // Below the head of either table; the nodes of a shard are no two groups.
  expect(out.match(/├/g)).toHaveLength(2)
  expect(out.split('\n').filter((line) => line.startsWith('│ shard-1/node-'))).toHaveLength(3)
  out = ''
  expect(await runCommand(['top', '--once', '--every', '0.1', '--json', ...address], {}, context)).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ epoch: 4, shards: [{ shard: 1, up: 2 }] })
  await listener.close()
})
