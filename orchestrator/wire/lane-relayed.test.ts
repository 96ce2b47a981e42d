import { expect, test } from 'vitest'
import type { Limits } from '../core/limits.js'
import { seededRng } from '../core/rng.js'
import { limitsWith } from '../core/testing/limits.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { Lane } from './lane.js'
import { FakeConnection, turn } from './testing/fake-connection.js'
import { get } from './testing/fake-request.js'

const MIB = 1 << 20

/** A lane with a gateway at one end. `ask` sends reads in one turn, and says how many each message has that is in flight. */
function relayed(limits: Partial<Limits>) {
  let connection: FakeConnection | undefined
  const lane = new Lane('gateway:1', {
    limits: limitsWith(limits),
    clock: new ManualClock(),
    rng: seededRng(1),
    epoch: () => 0n,
    stallMs: Number.POSITIVE_INFINITY,
    patienceMs: Number.POSITIVE_INFINITY,
    relayed: true,
    connect: (address, handlers) => {
      connection = new FakeConnection(address, handlers)
      return connection
    },
  })
  lane.warm()
  connection?.open()
  return async (reads: number) => {
    for (let read = 0; read < reads; read++) lane.send(get())
    await turn()
    return connection?.written.map(({ operations }) => operations.length)
  }
}

test('reads share a message until an eighth of a full one waits', async () => {
  const ask = relayed({ batchBytesMax: 64 * MIB, batchOperationsMax: 800 })
  expect(await ask(199)).toEqual([199])
  expect(await ask(99)).toEqual([199])
  expect(await ask(1)).toEqual([199, 100])
  expect(await ask(800)).toEqual([199, 100])
})

test('large values are two messages, as on any lane', async () => {
  // 16 KiB are expected of each: 64 fill a message.
  const ask = relayed({ batchBytesMax: 2 * MIB })
  expect(await ask(64)).toEqual([32, 32])
})
