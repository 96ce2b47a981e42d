import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { type WakeEntry, WakeQueue } from './wake-queue.js'

class Entry implements WakeEntry {
  wakeAt = 0
  wakeIndex = -1
}

function setUp() {
  const clock = new ManualClock()
  const woken: Entry[] = []
  const queue = new WakeQueue<Entry>(clock, (entry) => {
    expect(entry.wakeIndex).toBe(-1)
    woken.push(entry)
  })
  return { clock, queue, woken }
}

test('wakes all that is due, on one timer', () => {
  const { clock, queue, woken } = setUp()
  const [late, early] = [new Entry(), new Entry()]
  queue.add(late, 100)
  queue.add(early, 50)
  expect(clock.pending).toBe(1)
  clock.advance(50)
  expect(woken).toEqual([early])
  clock.advance(50)
  expect(woken).toEqual([early, late])
  expect([queue.size, clock.pending]).toEqual([0, 0])
})

test('what was taken out is not woken', () => {
  const { clock, queue, woken } = setUp()
  const entry = new Entry()
  queue.add(entry, 10)
  expect(queue.remove(entry)).toBe(true)
  expect(queue.remove(entry)).toBe(false)
  clock.advance(20)
  expect(woken).toEqual([])
})

test('takeAll leaves nothing, not even a timer', () => {
  const { clock, queue } = setUp()
  const entries = [new Entry(), new Entry()]
  for (const entry of entries) queue.add(entry, 10)
  expect(new Set(queue.takeAll())).toEqual(new Set(entries))
  expect([queue.size, clock.pending]).toEqual([0, 0])
  queue.add(entries[0] as Entry, 20)
  expect(clock.pending).toBe(1)
})

test('whatever is taken out of many, the rest keeps its order', () => {
  const times = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 10, maxLength: 100 })
  fc.assert(
    fc.property(times, fc.infiniteStream(fc.boolean()), (moments, coin) => {
      const { clock, queue, woken } = setUp()
      const entries = moments.map(() => new Entry())
      for (const [at, entry] of entries.entries()) queue.add(entry, moments[at] ?? 0)
      const kept = entries.filter((entry) => coin.next().value || !queue.remove(entry))
      clock.advance(1001)
      expect(woken.map(({ wakeAt }) => wakeAt)).toEqual(kept.map(({ wakeAt }) => wakeAt).sort((a, b) => a - b))
    }),
  )
})

test('any mixture of adding, removing and time wakes each entry once, in order, never late', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), ms: fc.integer({ min: 0, max: 100 }) }),
    fc.record({ do: fc.constant('remove' as const), ms: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 40 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { clock, queue, woken } = setUp()
      const waiting = new Set<Entry>()
      for (const { do: what, ms } of steps) {
        if (what === 'add') {
          const entry = new Entry()
          waiting.add(entry)
          queue.add(entry, clock.monotonic() + ms)
        } else if (what === 'remove') {
          const entry = [...waiting][ms % Math.max(1, waiting.size)]
          if (entry !== undefined && waiting.delete(entry)) expect(queue.remove(entry)).toBe(true)
        } else {
          clock.advance(ms)
          for (const entry of woken.splice(0)) expect(waiting.delete(entry)).toBe(true)
          // Within a millisecond counts as due.
          for (const entry of waiting) expect(entry.wakeAt).toBeGreaterThan(clock.monotonic())
        }
      }
      clock.advance(200)
      expect(new Set(woken)).toEqual(waiting)
      const times = woken.map((entry) => entry.wakeAt)
      expect(times).toEqual([...times].sort((a, b) => a - b))
      expect(clock.pending).toBe(0)
    }),
  )
})
