// One round: traffic, faults, healing, everything serves again, last reads, judgement.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../../harness/wait.js'
import type { ScheduledFault } from '../faults/fault.js'
import { type Injected, type Injections, injectAll } from '../faults/inject.js'
import type { Random } from '../faults/random.js'
import { CALM_MS, writeSchedule } from '../faults/schedule.js'
import { writeHistory } from '../model/format.js'
import type { LiveScene } from '../scene.js'
import { CALM, type Gap, gapsOf } from '../service/gaps.js'
import { KeyWatchers } from '../traffic/key-watchers.js'
import { LeaseHolders } from '../traffic/lease-holders.js'
import { NodeReaders } from '../traffic/node-readers.js'
import { NodeWriters } from '../traffic/node-writers.js'
import { micros, Recorder, type Watcher } from '../traffic/recorder.js'
import { StaleReaders } from '../traffic/stale-readers.js'
import { Traffic } from '../traffic/traffic.js'
import type { Clients } from './clients.js'
import { HISTORY, judge } from './judge.js'
import { NO_COUNTS, type RoundResult, type Violation } from './result.js'
import type { Phase, Settings, View } from './settings.js'

/** After the last fault has ended: everything serves by then, or it does not come back. */
const BACK_MS_MAX = 45_000
/** Clients connect and find the leaders first. */
const SETTLE_MS = 400

export interface Round {
  readonly number: number
  readonly faults: readonly ScheduledFault[]
  readonly random: Random
  readonly settings: Settings
  readonly scene: LiveScene
  readonly clients: Clients
  readonly watch: Watcher
  readonly view: View
  /** Told what is done from now on. */
  readonly phase: (now: Phase) => void
}

/** Undefined when the run was interrupted meanwhile: then nothing can be said. */
export async function runRound(round: Round): Promise<RoundResult | undefined> {
  const { number, settings, scene, clients, watch, view } = round
  const startMs = performance.now()
  round.phase('faults')
  const recorder = new Recorder(watch)
  const watchers = settings.light ? undefined : await KeyWatchers.open(clients.endpoints, prefixOf(round))
  const holders = settings.light ? undefined : await LeaseHolders.open(clients.endpoints, prefixOf(round))
  const load = startLoad(round, recorder)
  let injections: Injections
  let back: Back
  try {
    injections = await injectAll(scene, round.faults, (what) => view.say(what))
    const left = startMs + settings.roundMs - performance.now()
    if (left > 0) await pause(left, undefined, { signal: scene.signal }).catch(() => undefined)
    round.phase('coming back')
    back = await comeBack(round)
  } finally {
    // Nothing in flight is waited for when the run is over.
    if (scene.signal.aborted) await clients.close()
    await load.stop()
    if (scene.signal.aborted) await Promise.all([watchers?.close(), holders?.close()])
  }
  if (scene.signal.aborted) return undefined
  const unwatched = (await watchers?.faults(recorder.lines, { mayCompact: true })) ?? []
  const unleased = (await holders?.faults()) ?? []
  await Promise.all([watchers?.close(), holders?.close()])
  const gaps = [...calmGaps(round, startMs), ...gapsOf(injections.done, scene.shards, clients.longestGapMs)]
  clients.forget(performance.now())
  round.phase('last reads')
  const unread = await readAll(load.traffic, clients)
  const folder = join(settings.out, `round-${number}`)
  round.phase('checking')
  await keep(folder, round, recorder, injections.done)
  const { violations, counts } = await judge({
    lines: recorder.lines,
    keys: load.traffic.keys,
    folder,
    perKeyMs: settings.perKeyMs,
    signal: scene.signal,
  })
  const all = [
    ...injections.unhealed.map((what): Violation => ({ kind: 'could not be healed', what })),
    ...back.violations,
    ...unread,
    ...unwatched.map((what): Violation => ({ kind: 'not watched', what })),
    ...unleased.map((what): Violation => ({ kind: 'not as its lease', what })),
    ...violations,
  ]
  if (all.length === 0 && counts.undecided === 0) rmSync(folder, { recursive: true, force: true })
  const [way] = clients.last
  if (all.length === 0 && way !== undefined) await load.traffic.clear(way)
  const { done, skipped } = injections
  return { round: number, violations: all, faults: done, skipped, gaps, counts: counts ?? NO_COUNTS, backMs: back.ms }
}

const prefixOf = ({ settings, number }: Pick<Round, 'settings' | 'number'>): string =>
  `chaos-${settings.seed}-${number}`

interface Load {
  readonly traffic: Traffic
  stop(): Promise<void>
}

function startLoad({ number, settings, scene, clients, random }: Round, recorder: Recorder): Load {
  const prefix = prefixOf({ settings, number })
  const ways = settings.light ? clients.last : clients.workers
  const traffic = new Traffic({ map: scene.map, recorder, random: random.fork(), ways, prefix })
  if (settings.light) return { traffic, stop: () => traffic.stop() }
  const places = {
    shards: scene.shards,
    nodes: (shard: number) => scene.map.shards.find(({ id }) => id === shard)?.nodes ?? [],
    keys: (shard: number) => traffic.hotKeys(shard),
  }
  const readers = new NodeReaders({ recorder, random: random.fork(), ...places })
  const stale = new StaleReaders({ recorder, random: random.fork(), ...places, ways: clients.stale })
  const writers = new NodeWriters({ recorder, ...places, key: (shard) => traffic.keyApart(shard) })
  return {
    traffic,
    stop: async () => {
      await Promise.all([traffic.stop(), readers.stop(), stale.stop(), writers.stop()])
    },
  }
}

interface Back {
  readonly ms: number
  readonly violations: readonly Violation[]
}

/** Waits until every node is up and has caught up, every group is led, and every shard takes puts by every way. */
async function comeBack({ scene, clients }: Round): Promise<Back> {
  const begin = performance.now()
  const limit = AbortSignal.any([scene.signal, AbortSignal.timeout(BACK_MS_MAX)])
  let missing: string | undefined
  try {
    await until(
      'every node to be up',
      async () => {
        missing = scene.signal.aborted ? undefined : await scene.missing()
        return missing === undefined
      },
      BACK_MS_MAX,
    )
    if (!scene.signal.aborted) await scene.cluster.settled()
    missing = 'not every shard takes puts'
    await clients.served(limit)
    return { ms: performance.now() - begin, violations: [] }
  } catch (error) {
    if (scene.signal.aborted) return { ms: 0, violations: [] }
    const what = `${missing ?? ''} after ${BACK_MS_MAX} ms: ${String(error)}`
    return { ms: performance.now() - begin, violations: [{ kind: 'does not come back', what }] }
  }
}

function calmGaps({ scene, clients }: Round, startMs: number): Gap[] {
  const [from, to] = [startMs + SETTLE_MS, startMs + CALM_MS - SETTLE_MS]
  return scene.shards.map((shard) => ({
    kind: CALM,
    alone: true,
    directMs: clients.longestGapMs('direct', shard, from, to),
    gatewayMs: clients.longestGapMs('gateway', shard, from, to),
  }))
}

async function readAll(traffic: Traffic, { last }: Clients): Promise<Violation[]> {
  const unread: Violation[] = []
  for (const way of last) {
    for (const { key, why } of await traffic.readAll(way)) {
      unread.push({ kind: 'could not be read', what: `${key} by ${way.name}: ${why}` })
    }
  }
  return unread
}

/** The history and what was done meanwhile; removed again when nothing is wrong. */
async function keep(folder: string, round: Round, recorder: Recorder, done: readonly Injected[]): Promise<void> {
  const { number, settings, faults } = round
  const { seed, shape, roundMs, versions } = settings
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'schedule.json'), writeSchedule({ seed, shape, roundMs, rounds: [faults] }))
  const struck = done.map(({ what, beganMs, healedMs }) => ({
    fault: what,
    call: micros(beganMs),
    return: micros(healedMs),
  }))
  const header = { seed, round: number, shards: shape.shards, replicas: shape.replicas, versions }
  await writeHistory(join(folder, HISTORY), header, [...recorder.lines, ...struck])
}
