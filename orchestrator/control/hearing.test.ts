import { beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Hearing, type Voice } from './hearing.js'

const SECOND = 1_000
let clock: ManualClock
/** Machines whose agents do not answer, and those on which no node does. */
let agentsAway: Set<string>
let nodesAway: Set<string>
let hearing: Hearing

beforeEach(() => {
  clock = new ManualClock()
  agentsAway = new Set()
  nodesAway = new Set()
  hearing = new Hearing(clock, (machine) => !agentsAway.has(machine))
})

const voices = (): Voice[] => ['a', 'b', 'c'].map((machine) => ({ machine, answers: !nodesAway.has(machine) }))

/** Looks every second. */
function listen(seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    clock.skip(SECOND)
    hearing.look(voices())
  }
}

function lose(machine: string): void {
  agentsAway.add(machine)
  nodesAway.add(machine)
}

test('a machine is silent since it was heard last, and counts anew when it was heard meanwhile', () => {
  listen(10)
  expect(hearing.silentMs('a')).toBeUndefined()
  lose('a')
  listen(30)
  expect(hearing.silentMs('a')).toBe(30 * SECOND)
  agentsAway.clear()
  listen(1)
  expect(hearing.silentMs('a')).toBeUndefined()
  lose('a')
  listen(5)
  expect(hearing.silentMs('a')).toBe(5 * SECOND)
})

test('it is heard as long as its agent or one of its nodes is', () => {
  agentsAway.add('a')
  nodesAway.add('b')
  listen(100)
  expect(['a', 'b', 'c'].map((machine) => hearing.silentMs(machine))).toEqual([undefined, undefined, undefined])
  // What counts is the last that was heard of it, and that was the node.
  nodesAway.add('a')
  listen(3)
  expect(hearing.silentMs('a')).toBe(3 * SECOND)
})

test('one that was never heard counts from the first look', () => {
  lose('a')
  listen(1)
  expect(hearing.silentMs('a')).toBe(0)
  listen(7)
  expect(hearing.silentMs('a')).toBe(7 * SECOND)
})

test('whoever has stood still begins to count anew', () => {
  lose('a')
  listen(100)
  clock.skip(3_600 * SECOND)
  listen(1)
  expect(hearing.silentMs('a')).toBe(0)
})

test('when half of the machines are silent at once it is rather oneself who is cut off', () => {
  listen(1)
  expect(hearing.isCutOff).toBe(false)
  lose('a')
  listen(1)
  expect([hearing.isCutOff, hearing.silent]).toEqual([false, { machines: ['a'], of: 3 }])
  lose('b')
  listen(1)
  expect(hearing.isCutOff).toBe(true)
  agentsAway.delete('b')
  listen(1)
  expect(hearing.isCutOff).toBe(false)
})
