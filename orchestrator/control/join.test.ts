import { expect, test } from 'vitest'
import { UnavailableError } from '../errors/index.js'
import type { EventName, Events, Telemetry } from '../telemetry/index.js'
import { firstWord } from './join.js'
import { ScaledClock } from './testing/scaled-clock.js'

const never = new AbortController().signal

/** Joins where nobody listens at first, and everybody else hangs up. Gives what was told meanwhile, and how it ended. */
async function joinNobody(endpoints: readonly string[], asked: AbortSignal = never) {
  const told: string[] = []
  const telemetry: Telemetry = {
    enabled: () => true,
    emit: (name: EventName, event: Events[EventName]) => {
      if (name === 'start.progress' && 'doing' in event) told.push(event.doing)
    },
  }
  const standBy = async function* (address: string) {
    if (address === endpoints[0]) throw new UnavailableError(`no connection to ${address}`, { outcome: 'not-applied' })
    yield* []
  }
  const deps = { peers: { standBy }, clock: new ScaledClock(), telemetry, startTimeoutMs: 12_000 }
  const error: unknown = await firstWord(deps, endpoints, asked).catch((failure: unknown) => failure)
  return { told, error }
}

test('whoever joins nobody is told at once who was asked and what came of it, again now and then, and in the end', async () => {
  const { told, error } = await joinNobody(['a:1', 'b:2'])
  const troubles = 'no connection to a:1; b:2: it ends, or does not know the nodes yet'
  expect(told.slice(0, 2)).toEqual(['joining the cluster of a:1, b:2', `waiting for a cluster to join: ${troubles}`])
  expect(new Set(told).size).toBe(2)
  expect(told.length).toBeLessThan(6)
  expect(error).toMatchObject({
    name: 'StartFault',
    message:
      `no cluster could be joined within 12 s. Asked: ${troubles}. Say --join with the gateway of a cluster that runs, or ` +
      'leave it out to start one here',
  })
})

test('whoever is asked to end meanwhile ends for that', async () => {
  const ends = AbortSignal.abort(new Error('asked to end'))
  expect((await joinNobody(['a:1'], ends)).error).toMatchObject({ message: 'asked to end' })
})
