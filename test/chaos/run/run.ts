// A whole run: a cluster of its own, round after round, until time is over or something is wrong.
import { setMaxListeners } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Cluster, type ClusterOptions } from '../../harness/cluster.js'
import type { FaultKind, Preparation, ScheduledFault } from '../faults/fault.js'
import type { Injected } from '../faults/inject.js'
import { drawRound, randomOf, type Schedule, writeSchedule } from '../faults/schedule.js'
import { LiveScene } from '../scene.js'
import type { Gap } from '../service/gaps.js'
import { Timeline } from '../service/timeline.js'
import { Clients } from './clients.js'
import { keepCluster } from './keep.js'
import { secondsLeft } from './left.js'
import { NO_COUNTS, type RoundResult, type RunResult, sumOf, type Violation } from './result.js'
import { runRound } from './round.js'
import type { Phase, Settings, View } from './settings.js'

const LOOK_MS = 1_000
/** For the picture; older ones are forgotten, and said to be. */
const DRAWN_FAULTS_MAX = 600

/** What was asked for cannot be done here. */
export class Impossible extends Error {}

/** Rejects when there is no cluster to break, or nothing to break it with. */
export async function runChaos(settings: Settings, view: View, signal: AbortSignal): Promise<RunResult> {
  // Every fault that waits listens to it.
  setMaxListeners(0, signal)
  mkdirSync(settings.out, { recursive: true })
  const prepared: Preparation[] = []
  try {
    for (const kind of settings.kinds) if (kind.prepare) prepared.push(await kind.prepare())
    const { shards, replicas } = settings.shape
    const cluster = await Cluster.start({ shards, replicas, endsWithUs: true, ...merged(prepared) })
    try {
      await cluster.settled()
      return await new Run(settings, view, cluster, signal).all()
    } finally {
      await cluster.dispose()
    }
  } finally {
    for (const one of prepared.reverse()) await one.close()
  }
}

function merged(prepared: readonly Preparation[]): ClusterOptions {
  const all = prepared.map(({ cluster }) => cluster)
  const args = all.flatMap((one) => one.args ?? [])
  const flags = all.flatMap(({ nodeFlags = [] }) => nodeFlags)
  return { ...Object.assign({}, ...all), args, ...(flags.length > 0 && { nodeFlags: flags }) }
}

class Run {
  readonly #settings: Settings
  readonly #view: View
  readonly #cluster: Cluster
  readonly #signal: AbortSignal
  readonly #timeline = new Timeline(performance.now())
  readonly #drawn: (readonly ScheduledFault[])[] = []
  readonly #gaps: Gap[] = []
  readonly #violations: Violation[] = []
  #recent: Injected[] = []
  #counts = NO_COUNTS
  #faults = 0
  #skipped = 0
  #rounds = 0
  #backMsMax = 0
  #phase: Phase = 'faults'
  #roundEndMs = 0

  constructor(settings: Settings, view: View, cluster: Cluster, signal: AbortSignal) {
    this.#settings = settings
    this.#view = view
    this.#cluster = cluster
    this.#signal = signal
  }

  async all(): Promise<RunResult> {
    const { replicas } = this.#settings.shape
    const scene = new LiveScene(this.#cluster, await this.#cluster.map(), replicas, this.#signal)
    const clients = await Clients.open([this.#cluster.address], scene.map, this.#timeline.took)
    const over = new AbortController()
    const looking = this.#look(scene, over.signal)
    try {
      const kinds = this.#settings.kinds.filter((kind) => kind.possible(scene))
      if (kinds.length === 0) throw new Impossible('none of these faults is possible on such a cluster, on this system')
      while (!this.#isOver()) await this.#round(kinds, scene, clients)
    } finally {
      over.abort()
      await clients.close()
      await looking
    }
    this.#writeSchedule()
    if (this.#violations.length > 0) await keepCluster(this.#cluster, this.#settings.out)
    return this.#result()
  }

  #isOver(): boolean {
    const { runMs, roundsMax, schedule } = this.#settings
    if (this.#signal.aborted || this.#violations.length > 0) return true
    if (schedule !== undefined) return this.#rounds >= schedule.rounds.length
    return this.#rounds >= roundsMax || performance.now() - this.#timeline.startMs >= runMs
  }

  async #round(kinds: readonly FaultKind[], scene: LiveScene, clients: Clients): Promise<void> {
    const { seed, shape, roundMs, schedule } = this.#settings
    const number = ++this.#rounds
    const random = randomOf(seed, number)
    const drawn = drawRound({ kinds, shape, roundMs }, random)
    const faults = schedule?.rounds[number - 1] ?? drawn
    this.#drawn.push(faults)
    this.#view.say(`round ${number}: ${faults.length} faults in ${roundMs / 1000} s`)
    await scene.refresh()
    this.#roundEndMs = performance.now() + roundMs
    const phase = (now: Phase): void => {
      this.#phase = now
    }
    const common = { settings: this.#settings, scene, clients, watch: this.#timeline.took, view: this.#view, phase }
    const result = await runRound({ number, faults, random, ...common })
    if (result !== undefined) this.#took(result)
  }

  #took(result: RoundResult): void {
    const { counts, faults, skipped, gaps, violations, backMs, round } = result
    this.#counts = sumOf(this.#counts, counts)
    this.#faults += faults.length
    this.#skipped += skipped.length
    this.#recent = [...this.#recent, ...faults].slice(-DRAWN_FAULTS_MAX)
    this.#gaps.push(...gaps)
    this.#violations.push(...violations)
    this.#backMsMax = Math.max(this.#backMsMax, backMs)
    this.#view.say(
      `round ${round}: ${counts.operations} operations on ${counts.keys} keys, ${counts.unknown} unknown, ` +
        `${counts.undecided} keys not decided, back after ${(backMs / 1000).toFixed(1)} s, ${violations.length} violations`,
    )
    for (const what of skipped) this.#view.say(`  could not begin: ${what}`)
    for (const { kind, what } of violations) this.#view.say(`  VIOLATION, ${kind}: ${what}`)
  }

  /** Looks at the leaders now and then, for whoever looks on. */
  async #look(scene: LiveScene, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await pause(LOOK_MS, undefined, { signal: over }).catch(() => undefined)
      this.#timeline.advance(performance.now())
      if (!this.#view.live || over.aborted) continue
      const leaders = await Promise.all(scene.shards.map((shard) => leaderOf(scene, shard)))
      const { schedule, roundsMax, runMs, roundMs } = this.#settings
      const { startMs } = this.#timeline
      const limits = schedule === undefined ? { roundsMax, runMs } : { roundsMax: schedule.rounds.length }
      const times = { startMs, nowMs: performance.now(), roundEndMs: this.#roundEndMs, roundMs }
      this.#view.state({
        round: this.#rounds,
        rounds: limits.roundsMax,
        phase: this.#phase,
        secondsLeft: secondsLeft({ ...times, ...limits, round: this.#rounds }),
        operationsPerSecond: this.#timeline.rate(),
        leaders,
      })
    }
  }

  #writeSchedule(): void {
    const { seed, shape, roundMs, out } = this.#settings
    const schedule: Schedule = { seed, shape, roundMs, rounds: this.#drawn }
    writeFileSync(join(out, 'schedule.json'), writeSchedule(schedule))
  }

  #result(): RunResult {
    const { seed, shape, kinds, versions } = this.#settings
    const { startMs, widthMs, buckets } = this.#timeline
    return {
      seed,
      shape,
      kinds: kinds.map(({ name }) => name),
      versions,
      seconds: (performance.now() - startMs) / 1000,
      rounds: this.#rounds,
      counts: this.#counts,
      violations: this.#violations,
      faults: this.#faults,
      skipped: this.#skipped,
      gaps: this.#gaps,
      backMsMax: this.#backMsMax,
      timeline: { startMs, widthMs, buckets, faults: this.#recent, faultsMax: DRAWN_FAULTS_MAX },
      interrupted: this.#signal.aborted,
    }
  }
}

async function leaderOf(scene: LiveScene, shard: number): Promise<string> {
  const nodes = await scene.nodesOf(shard)
  const leader = nodes.filter(({ leads }) => leads).sort((a, b) => Number(b.term - a.term))[0]
  if (leader === undefined) return `shard ${shard}: no leader`
  return `shard ${shard}: ${leader.directory.split('/').at(-1)} leads in term ${leader.term}, ${nodes.length} nodes answer`
}
