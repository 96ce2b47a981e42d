import { expect, test } from 'vitest'
import { seededRng } from '../core/rng.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { LaneHealth, TICK_MS } from './lane-health.js'

const STALL_MS = 300

function setUp() {
  const clock = new ManualClock()
  return { clock, health: new LaneHealth({ clock, rng: seededRng(1), stallMs: STALL_MS }) }
}

function ticksUntilStalled(health: LaneHealth): number {
  for (let ticks = 1; ; ticks++) if (health.tickOwing(true) === 'stalled') return ticks
}

test('time in which this process stood still is not the silence of others', () => {
  const { clock, health } = setUp()
  health.expect()
  clock.advance(60_000)
  expect(health.tickOwing(true)).toBe('fine')
  expect(health.stalled).toBe(false)
})

test('patience grows with each answer that came too late, to a limit, and shrinks with answers in time', () => {
  const { health } = setUp()
  const patience = () => {
    const ticks = ticksUntilStalled(health)
    expect(health.heard()).toBe(true)
    return ticks * TICK_MS
  }
  expect([patience(), patience(), patience()]).toEqual([STALL_MS, 2 * STALL_MS, 4 * STALL_MS])
  for (let late = 0; late < 5; late++) patience()
  expect(patience()).toBe(16 * STALL_MS)
  for (let prompt = 0; prompt < 300; prompt++) expect(health.heard()).toBe(false)
  expect(patience()).toBe(STALL_MS)
})
