import { expect, test } from 'vitest'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { CompactedError, UnavailableError } from '../../errors/index.js'
import type { Position } from '../../wire/watch.js'
import { Overdue } from './overdue.js'

const at = (index: bigint): Position => ({ index, skip: 0 })

/** Shard 1 waits. `answers` are the ends of the logs, each time that somebody looks; of shards without one it is not known. */
function waiting(shards: readonly number[], ...answers: readonly (ReadonlyMap<number, Position> | undefined)[]) {
  const clock = new ManualClock()
  const left = [...answers]
  let woken = 0
  const ends = async () => {
    const answer = left.shift()
    if (answer === undefined) throw new UnavailableError('down', { outcome: 'not-applied' })
    return answer
  }
  const overdue = new Overdue({ clock, ends, wake: () => woken++ })
  const first = { shard: 1, at: 0 }
  const check = () => overdue.check([first], shards, () => at(7n))
  const look = async () => {
    const before = woken
    clock.advance(10_000)
    await expect.poll(() => woken).toBe(before + 1)
  }
  return { clock, overdue, check, look }
}

test('where the ends of the logs are not known, it is looked again', async () => {
  const { clock, overdue, check, look } = waiting([1, 2], undefined, new Map([[2, at(7n)]]))
  check()
  await look()
  check()
  await look()
  expect(check).toThrow(CompactedError)
  await overdue.close()
  expect(clock.pending).toBe(0)
})

test('a shard that came after the look is looked at, too', async () => {
  const { overdue, check, look } = waiting([1, 2, 3], new Map([[2, at(7n)]]), new Map([2, 3].map((id) => [id, at(7n)])))
  check()
  await look()
  check()
  await look()
  expect(check).toThrow(CompactedError)
  await overdue.close()
})
