import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import type { EventName, Telemetry } from '../telemetry/index.js'
import { Role } from '../wire/node-admin.js'
import { Group } from './group.js'
import { firstMembers } from './membership.js'
import type { Supervisor } from './supervisor.js'

/** A group of two of which no node can be asked anything, and what was told of it. */
function setUp() {
  const told: EventName[] = []
  const telemetry: Telemetry = { enabled: () => true, emit: (name: EventName) => told.push(name) }
  const clock = new ManualClock()
  const members = [1, 2].map((index) => ({ id: `n${index}`, index }))
  const group = new Group(1, firstMembers(1, members), { telemetry, clock, record: async () => {} })
  let leads = 1
  for (const { index } of members) {
    const status = () => ({ role: index === leads ? Role.LEADER : Role.FOLLOWER, ready: index === leads, term: 1n })
    const node = {
      ...{ name: `shard-1/node-${index}`, spec: { index }, condition: 'silent', address: '', admin: undefined },
      get status() {
        return status()
      },
      leave: async () => {},
    }
    group.admit(node as unknown as Supervisor)
  }
  const lead = (index: number) => {
    leads = index
    group.changed()
  }
  return { told, clock, group, lead }
}

const NOBODY = 0

test('leadership that is handed over is no shard without a leader', async () => {
  const { told, clock, group, lead } = setUp()
  lead(NOBODY)
  clock.advance(900)
  lead(2)
  clock.advance(5_000)
  expect(told).toEqual(['shard.led', 'shard.led'])
  await group.leave()
})

test('a shard that nobody leads for longer is told of, once; not when it ends', async () => {
  const { told, clock, group, lead } = setUp()
  lead(NOBODY)
  clock.advance(1_000)
  lead(NOBODY)
  clock.advance(5_000)
  expect(told).toEqual(['shard.led', 'shard.leaderless'])
  lead(1)
  lead(NOBODY)
  await group.leave()
  clock.advance(5_000)
  expect(told).toEqual(['shard.led', 'shard.leaderless', 'shard.led'])
})
