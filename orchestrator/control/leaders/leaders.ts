import { type Clock, sleep } from '../../core/clock.js'
import type { Telemetry } from '../../telemetry/index.js'
import { NotHolder } from '../faults.js'
import type { Fleet } from '../fleet.js'
import type { Group } from '../group.js'
import type { Lease } from '../lease.js'
import type { Journal } from '../operations/journal.js'
import type { OperationRecord } from '../operations/record.js'
import type { DrainedRecord } from '../registry.js'
import type { Supervisor } from '../supervisor.js'
import { busyGroups, claimedGroups } from './busy.js'
import { chooseTransfers, type Led, type Seat, type Transfer } from './choose-transfers.js'
import { type Drains, isDrained, knownOf } from './drains.js'
import { handOver, isWell } from './hand-over.js'
import { Slowness } from './slowness.js'

export interface LeadersDeps {
  readonly fleet: Fleet
  readonly journal: Pick<Journal, 'load'>
  readonly lease: Pick<Lease, 'isHeld'>
  readonly drains: Drains
  readonly telemetry: Telemetry
  readonly clock: Clock
  /**
   * Who leads since a shorter time is not moved only to be somewhere else: a start or an election may not be over. A disk counts as
   * slow after as long. Default 10 s.
   */
  readonly settleMs?: number
}

const LOOK_EVERY_MS = 1_000
/** Between two handovers that nobody waits for. */
const REST_MS = 2_000
const SETTLE_MS = 10_000
/** Nothing is moved twice within this, but off a node that a person has drained. */
const MOVED_MS = 60_000
/** After a handover that did not succeed. */
const RETRY_MS = 5_000

/**
 * Keeps leaders where they are to be: off nodes that are drained, off slow machines, and else spread evenly over machines. One
 * handover at a time, of which each is asked of a leader and refused by whoever does not lead any more: so nothing is written
 * down, and whoever comes next looks at what is. Elections are Raft's: it may have anybody lead, who is moved off again then.
 */
export class Leaders {
  readonly #closed = new AbortController()
  readonly #slowness: Slowness
  /** By shard: who leads in which term, and since when that is known. */
  readonly #led = new Map<number, { readonly by: string; readonly since: number }>()
  /** By shard: when it was moved last. */
  readonly #moved = new Map<number, number>()
  /** By shard: why it was not moved, and when that was. */
  readonly #failed = new Map<number, { readonly why: string; readonly at: number }>()
  #hurry = new AbortController()
  #running: Promise<void> | undefined

  constructor(private readonly deps: LeadersDeps) {
    this.#slowness = new Slowness(deps.settleMs)
  }

  start(): void {
    this.#running ??= this.#run(this.#closed.signal)
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the orchestrator stops'))
    await this.#running
  }

  /** Looks now: a person waits for it. */
  hurry(): void {
    this.#hurry.abort()
  }

  /** Why the node is to lead nothing. */
  unfit(group: Group, node: Supervisor, drained: DrainedRecord = this.deps.drains.now): Seat['unfit'] {
    if (isDrained(drained, knownOf(group, node))) return 'drained'
    return this.#slowness.slow.has(node.spec.machine) ? 'slow' : undefined
  }

  /** What would be moved, now or when these are the drained ones. */
  async plan(signal: AbortSignal, drained?: DrainedRecord): Promise<Transfer[]> {
    return chooseTransfers(this.#ledNow(await this.deps.journal.load(signal), drained))
  }

  /** Why nothing is moved off a node that is drained. */
  async obstacleOf(shard: number, signal: AbortSignal): Promise<string> {
    if (busyGroups(await this.deps.journal.load(signal)).has(shard)) return 'an operation is at work on it'
    return this.#failed.get(shard)?.why ?? 'no other node of it is well that may lead'
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pause(LOOK_EVERY_MS, signal)
      try {
        while (!signal.aborted && this.deps.lease.isHeld && (await this.#moveOne(signal))) {}
      } catch (error) {
        // Then this ends in a moment.
        if (signal.aborted || error instanceof NotHolder) continue
        this.deps.telemetry.emit('fault', { where: 'spreading leaders', error })
      }
    }
  }

  /** Hands over what is most urgent; false when there is nothing. */
  async #moveOne(signal: AbortSignal): Promise<boolean> {
    const { clock, fleet, telemetry, journal } = this.deps
    this.#look(clock.monotonic())
    const [next] = chooseTransfers(this.#ledNow(await journal.load(signal)))
    if (next === undefined) return false
    const { shard, from, to, why } = next
    const group = fleet.shard(shard)
    const node = group.nodeAt(to.index)
    if (node === undefined) return false
    const names = { from: group.nodeAt(from.index)?.name ?? '', to: node.name }
    telemetry.emit('leader.moves', { shard: group.name, ...names, why })
    const failure = await handOver(group, node, clock, signal)
    const now = clock.monotonic()
    if (failure === undefined) {
      this.#failed.delete(shard)
      this.#moved.set(shard, now)
    } else {
      telemetry.emit('leader.stays', { shard: group.name, ...names, reason: failure })
      this.#failed.set(shard, { why: failure, at: now })
    }
    if (why !== 'drained') await this.#pause(REST_MS, signal)
    return true
  }

  /** Takes in who leads and which machines are slow. */
  #look(now: number): void {
    const groups = this.deps.fleet.all
    for (const { shard, leader } of groups) {
      const by = leader === undefined ? '' : `${leader.name} ${leader.status?.term}`
      if (this.#led.get(shard)?.by !== by) this.#led.set(shard, { by, since: now })
    }
    const shards = new Set(groups.map(({ shard }) => shard))
    for (const seen of [this.#led, this.#moved, this.#failed]) {
      for (const shard of seen.keys()) if (!shards.has(shard)) seen.delete(shard)
    }
    const nodes = groups.flatMap(({ shard, voters }) =>
      voters.flatMap(({ spec, condition, status }) =>
        condition !== 'up' || status === undefined ? [] : [{ shard, machine: spec.machine, appendUs: status.appendUs }],
      ),
    )
    for (const machine of this.#slowness.observe(now, nodes)) {
      this.deps.telemetry.emit(this.#slowness.slow.has(machine) ? 'machine.slow' : 'machine.well', { machine })
    }
  }

  #ledNow(operations: readonly OperationRecord[], drained?: DrainedRecord): Led[] {
    const now = this.deps.clock.monotonic()
    const [busy, claimed] = [busyGroups(operations), claimedGroups(operations)]
    const isWithin = (at: number | undefined, ms: number) => at !== undefined && now - at < ms
    return this.deps.fleet.all.flatMap((group): Led[] => {
      const { shard, leader, voters, isReady } = group
      const status = leader?.status
      if (leader === undefined || status === undefined || !isReady || !voters.includes(leader)) return []
      const seat = (node: Supervisor): Seat => ({
        index: node.spec.index,
        machine: node.spec.machine,
        unfit: this.unfit(group, node, drained),
      })
      const others = voters.filter((node) => node !== leader && isWell(node, status)).map(seat)
      const wasMoved = isWithin(this.#moved.get(shard), MOVED_MS)
      const hasFailed = isWithin(this.#failed.get(shard)?.at, RETRY_MS)
      const leads = seat(leader)
      const isBusy = busy.has(shard) || hasFailed || (leads.unfit === 'slow' && wasMoved)
      const isNew = isWithin(this.#led.get(shard)?.since ?? now, this.deps.settleMs ?? SETTLE_MS)
      return [{ shard, leader: leads, others, isBusy, rests: wasMoved || isNew || claimed.has(shard) }]
    })
  }

  /** Cut short when a person waits. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#hurry.signal])
    await sleep(this.deps.clock, ms, either).catch(() => {})
    this.#hurry = new AbortController()
  }
}
