import { describe, expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { CancelledError } from '../errors/index.js'
import { Gate } from './gate.js'

function setUp({ bytesMax = 100, operationsMax = 2 } = {}) {
  const clock = new ManualClock()
  const gate = new Gate({ clock, bytesMax, operationsMax })
  const order: string[] = []
  const enter = (
    name: string,
    bytes: number,
    { deadlineMs = 1000, signal = undefined as AbortSignal | undefined } = {},
  ) => gate.enter(bytes, deadlineMs, signal, (refused) => order.push(refused ? `${name}: ${refused.code}` : name))
  return { clock, gate, order, enter }
}

describe('who is too much waits', () => {
  test('for the number of operations and for bytes, in the order of arrival', () => {
    const { gate, order, enter } = setUp()
    expect([gate.tryEnter(60), gate.tryEnter(60)]).toEqual([true, false])
    enter('large', 60)
    enter('small', 10)
    // It would fit, but others came before it.
    expect(gate.tryEnter(10)).toBe(false)
    expect(order).toEqual([])
    gate.leave(60)
    expect(order).toEqual(['large', 'small'])
    expect(gate.tryEnter(1)).toBe(false)
  })

  test('what is over the budget by itself is let in when nobody else is', () => {
    const { gate, order, enter } = setUp()
    gate.tryEnter(10)
    enter('huge', 1000)
    expect(order).toEqual([])
    gate.leave(10)
    expect(order).toEqual(['huge'])
  })
})

describe('nobody waits for ever', () => {
  test('a deadline ends it', () => {
    const { clock, gate, order, enter } = setUp()
    gate.tryEnter(100)
    enter('late', 10, { deadlineMs: 50 })
    clock.advance(50)
    expect(order).toEqual(['late: DEADLINE_EXCEEDED'])
    expect(clock.pending).toBe(0)
  })

  test('so does the caller, and those behind it get on', () => {
    const { clock, gate, order, enter } = setUp()
    const abort = new AbortController()
    gate.tryEnter(60)
    enter('large', 60, { signal: abort.signal })
    enter('small', 10)
    abort.abort()
    expect(order).toEqual(['large: CANCELLED', 'small'])
    expect(clock.pending).toBe(0)
    enter('given up before', 1, { signal: abort.signal })
    expect(order.at(-1)).toBe('given up before: CANCELLED')
  })

  test('so does closing', () => {
    const { clock, gate, order, enter } = setUp()
    gate.tryEnter(100)
    enter('waiting', 10)
    gate.close(new CancelledError('closed', { outcome: 'not-applied' }))
    expect(order).toEqual(['waiting: CANCELLED'])
    expect(clock.pending).toBe(0)
  })
})

test('idle is when nobody is in and nobody waits', async () => {
  const { gate, order, enter } = setUp({ operationsMax: 1 })
  await gate.whenIdle()
  gate.tryEnter(10)
  enter('second', 10)
  const idle = gate.whenIdle().then(() => order.push('idle'))
  gate.leave(10)
  expect(order).toEqual(['second'])
  gate.leave(10)
  await idle
})

test('one that throws does not keep the others out', () => {
  const { gate, order, enter } = setUp({ operationsMax: 1 })
  gate.tryEnter(1)
  gate.enter(1, 1000, undefined, () => {
    throw new Error('a fault of ours')
  })
  enter('next', 1)
  expect(() => gate.leave(1)).toThrow('a fault of ours')
  gate.leave(1)
  expect(order).toEqual(['next'])
})

test('any number may enter and leave at once', () => {
  const { gate } = setUp({ operationsMax: 1 })
  gate.tryEnter(1)
  let entered = 0
  for (let i = 0; i < 50_000; i++) {
    gate.enter(1, 1000, undefined, () => {
      entered++
      gate.leave(1)
    })
  }
  gate.leave(1)
  expect(entered).toBe(50_000)
})
