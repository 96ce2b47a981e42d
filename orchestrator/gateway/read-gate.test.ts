import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Budget } from './budget.js'
import { ReadGate, type Ticket } from './read-gate.js'

const ROOM = 1000

function setUp() {
  const clock = new ManualClock()
  const all = new Budget(ROOM)
  const crowd = new Set<ReadGate>()
  const gate = (): ReadGate =>
    new ReadGate({ clock, values: new Budget(ROOM, all), firstGuess: 100, crowd, changed: () => {} })
  return { clock, all, crowd, gate }
}

/** Asks for as many values as there is room for, and waits for the rest. */
class Asker {
  readonly tickets: Ticket[] = []

  constructor(
    private readonly gate: ReadGate,
    private readonly wanted: number,
  ) {
    if (!this.resume()) gate.wait(this)
  }

  resume(): boolean {
    while (this.tickets.length < this.wanted) {
      const ticket = this.gate.enter()
      if (ticket === undefined) return false
      this.tickets.push(ticket)
    }
    return true
  }

  /** The oldest of its gets is answered. */
  answered(bytes: number): void {
    const ticket = this.tickets[0] as Ticket
    this.gate.leave(ticket, bytes)
    this.gate.take(bytes)
    this.gate.pump()
  }
}

test('asks for no more than there is expected to be room for', () => {
  const { gate } = setUp()
  const one = gate()
  expect(new Asker(one, 20).tickets).toHaveLength(10)
  expect(one.crowded).toBe(true)
})

test('learns: large values hold it back at once, small ones let it go on', () => {
  const { gate } = setUp()
  const one = gate()
  const asker = new Asker(one, 1000)
  asker.answered(400)
  expect(asker.tickets).toHaveLength(10)
  one.give(400)
  for (let i = 0; i < 40; i++) {
    one.leave(asker.tickets[0] as Ticket, 1)
    one.pump()
  }
  expect(asker.tickets.length).toBeGreaterThan(100)
})

test('what is unread holds the next ones back, until it is read', () => {
  const { gate } = setUp()
  const one = gate()
  const asker = new Asker(one, 2)
  one.leave(asker.tickets[0] as Ticket, ROOM - 100)
  one.take(ROOM - 100)
  const next = new Asker(one, 1)
  expect(next.tickets).toHaveLength(0)
  one.give(ROOM - 100)
  one.leave(asker.tickets[1] as Ticket, undefined)
  one.pump()
  expect(next.tickets).toHaveLength(1)
})

test('room that one stream gives back is another one’s', () => {
  const { gate, crowd } = setUp()
  const [first, second] = [gate(), gate()]
  new Asker(first, 10)
  const waits = new Asker(second, 1)
  expect([waits.tickets.length, crowd.size]).toEqual([0, 1])
  first.close()
  expect([waits.tickets.length, crowd.size]).toEqual([1, 0])
})

test('gets that have no answer for 250 ms hold nobody back, and give back nothing twice', () => {
  const { gate, all, clock } = setUp()
  const one = gate()
  const asker = new Asker(one, 15)
  clock.advance(249)
  expect(asker.tickets).toHaveLength(10)
  clock.advance(1)
  expect(asker.tickets).toHaveLength(15)
  expect([all.held, clock.pending]).toEqual([500, 0])
  for (const ticket of asker.tickets) one.leave(ticket, undefined)
  expect(all.held).toBe(0)
})
