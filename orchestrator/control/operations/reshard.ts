import { type Clock, sleep } from '../../core/clock.js'
import { KvError } from '../../errors/index.js'
import type { Telemetry } from '../../telemetry/index.js'
import type { ImportResponse } from '../../wire/node-admin.js'
import { own, serving } from '../bring-up.js'
import type { Fleet } from '../fleet.js'
import { withMove as mapWithMove, withoutShards, withShards } from '../map-changes.js'
import { infoOf } from '../map-keeper.js'
import type { MapPublisher } from '../map-publisher.js'
import type { Journal } from './journal.js'
import { awaitSwept, type MoveParts, runImport, settle } from './move.js'
import { turnBack } from './plan-moves.js'
import { goalOf, type MoveRecord, type OperationRecord, withMove } from './record.js'

export interface ReshardTools {
  readonly journal: Journal
  readonly fleet: Fleet
  readonly publisher: MapPublisher
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** How long a shard without partitions goes on answering for the writes that it was sent before. */
  readonly lingerMs: number
  /** What it does now, for people. */
  readonly doing: (what: string) => void
  /** How far the move under way is. */
  readonly heard: (progress: ImportResponse) => void
}

const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000

/**
 * Carries an operation on, from wherever it is to its end, or until a person steers it another way: then this returns, and is
 * called again. Every step finds out by itself whether it is done already, so that it makes no difference at which of them
 * an earlier orchestrator died. `recalled` is aborted when the operation is cancelled meanwhile.
 */
export async function reshard(
  id: string,
  tools: ReshardTools,
  recalled: AbortSignal,
  signal: AbortSignal,
): Promise<void> {
  const operation = new Reshard(id, tools, recalled, signal)
  await operation.settleWhatRan()
  if (operation.isSteered || operation.isPaused) return
  await operation.turnBackIfCancelled()
  await operation.addShards()
  while (!operation.isSteered && (await operation.moveNext())) {}
  if (operation.isSteered) return
  await operation.removeShards()
  await operation.end()
}

class Reshard {
  readonly #began: OperationRecord

  constructor(
    private readonly id: string,
    private readonly tools: ReshardTools,
    private readonly recalled: AbortSignal,
    private readonly signal: AbortSignal,
  ) {
    this.#began = this.#now
  }

  get #now(): OperationRecord {
    const found = this.tools.journal.operations.find(({ id }) => id === this.id)
    if (found === undefined) throw new TypeError(`no operation ${this.id}`)
    return found
  }

  get isPaused(): boolean {
    return this.#now.paused
  }

  /** Whether a person wants something else than when this began. */
  get isSteered(): boolean {
    const { state, paused } = this.#now
    return state !== this.#began.state || paused !== this.#began.paused
  }

  /** At most one move is under way. Whatever becomes of the operation, it is not left half done. */
  async settleWhatRan(): Promise<void> {
    const at = this.#now.moves.findIndex(({ state }) => state === 'running')
    if (at < 0) return
    this.tools.doing('finding out what became of the move that was under way')
    await this.#settle(at)
  }

  async turnBackIfCancelled(): Promise<void> {
    await this.#update((now) =>
      now.state !== 'cancelling' || now.turned ? now : { ...now, turned: true, moves: turnBack(now.moves) },
    )
  }

  /** The shards that are to be: running, owners of nothing, and in the map, so that clients know their nodes. */
  async addShards(): Promise<void> {
    const { fleet, publisher, clock } = this.tools
    const goal = goalOf(this.#now)
    const known = new Set(publisher.maps.current().shards.map(({ id }) => id))
    const isNew = (shard: number) => shard <= goal && !known.has(shard)
    if (fleet.shape.shards < goal) this.tools.doing('starting the new shards')
    await fleet.growTo(goal)
    const fresh = fleet.shards.filter(({ shard }) => isNew(shard))
    const { epoch } = publisher.maps.current()
    for (const group of fresh) {
      this.tools.doing(`waiting for ${group.name}`)
      await this.#unlessRecalled(async (signal) => {
        await serving(group, signal)
        await own(group, epoch, [], clock, signal, false)
      })
      if (this.isSteered) return
    }
    if (fresh.length > 0) await publisher.change(withShards(fresh.map(infoOf)), this.signal)
  }

  /** Does the next move, or finds out that it was not done. False when none is left. */
  async moveNext(): Promise<boolean> {
    const { journal, publisher, telemetry, clock } = this.tools
    const at = this.#now.moves.findIndex(({ state }) => state === 'waiting')
    const move = this.#now.moves[at]
    if (move === undefined) return false
    if (move.attempts > 0) await this.#restAfter(move.attempts)
    this.tools.doing(`moving partitions from shard ${move.from} to shard ${move.to}`)
    await this.#unlessRecalled((signal) => awaitSwept({ ...this.#shardsOf(move), move, clock }, signal))
    if (this.isSteered) return true
    // Written down before it is used: whoever comes next settles this attempt before there is another one.
    const epoch = await journal.nextEpoch(publisher.maps.current().epoch, this.signal)
    await this.#update((now) => withMove(now, at, { state: 'running', epoch, attempts: move.attempts + 1 }))
    const either = AbortSignal.any([this.signal, this.recalled])
    const outcome = await runImport(this.#partsOf(at), this.tools.heard, either)
    if (!(outcome instanceof KvError)) await this.#moved(at, outcome)
    else if ((await this.#settle(at)) === 'not moved' && !this.recalled.aborted) {
      telemetry.emit('move.failed', { from: move.from, to: move.to, reason: outcome.message })
      this.tools.doing(`shard ${move.from} to shard ${move.to} is tried again: ${outcome.message}`)
    }
    return true
  }

  /** Takes away the shards that are not to be. They own nothing any more. */
  async removeShards(): Promise<void> {
    const { fleet, publisher } = this.tools
    const goal = goalOf(this.#now)
    const last = publisher.maps.current().shards.at(-1)?.id ?? 0
    if (last <= goal && fleet.isAt(goal)) return
    const owned = this.#now.moves.some(({ from, state }) => from > goal && state === 'done')
    if (last > goal && owned && !this.#now.retiring) await this.#linger()
    if (this.isSteered) return
    // Past this it cannot be cancelled.
    await this.#update((now) => (now.state === this.#began.state ? { ...now, retiring: true } : now))
    if (!this.#now.retiring) return
    this.tools.doing('taking the shards away that own nothing any more')
    await publisher.change(withoutShards(goal), this.signal)
    await fleet.shrinkTo(goal, this.signal)
  }

  async end(): Promise<void> {
    const endedAt = this.tools.clock.now()
    await this.#update((now) => {
      if (now.state !== this.#began.state || now.paused) return now
      return { ...now, state: now.state === 'cancelling' ? 'cancelled' : 'done', endedAt }
    })
  }

  /** A write in doubt is asked of the shard that it was sent to, for as long as its call lasts. */
  async #linger(): Promise<void> {
    const { clock, lingerMs } = this.tools
    this.tools.doing(`waiting ${lingerMs / 1000} s for writes that were sent to the shards that go`)
    await this.#unlessRecalled((signal) => sleep(clock, lingerMs, signal))
  }

  async #restAfter(attempts: number): Promise<void> {
    const ms = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (attempts - 1))
    await this.#unlessRecalled((signal) => sleep(this.tools.clock, ms, signal))
  }

  /** Waits for what may never come: a person who cancels the operation ends the wait. */
  async #unlessRecalled(wait: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await wait(AbortSignal.any([this.signal, this.recalled]))
    } catch (error) {
      this.signal.throwIfAborted()
      if (!this.recalled.aborted) throw error
    }
  }

  async #settle(at: number): Promise<'moved' | 'not moved'> {
    const outcome = await settle(this.#partsOf(at), this.signal)
    if (outcome === 'moved') await this.#moved(at)
    else await this.#update((now) => withMove(now, at, { state: 'waiting' }))
    return outcome
  }

  /** The map first: as long as the move counts as running, whoever comes next does this again. */
  async #moved(at: number, { records = 0n, bytes = 0n, pauseUs = 0n }: Partial<ImportResponse> = {}): Promise<void> {
    const { move, epoch } = this.#partsOf(at)
    await this.tools.publisher.change(mapWithMove(move.partitions, move.from, move.to, epoch), this.signal)
    const told = { records: Number(records), bytes: Number(bytes), pauseUs: Number(pauseUs) }
    await this.#update((now) => withMove(now, at, { state: 'done', ...told }))
  }

  #partsOf(at: number): MoveParts {
    const move = this.#now.moves[at]
    if (move === undefined) throw new TypeError(`no move ${at}`)
    return { move, epoch: BigInt(move.epoch), ...this.#shardsOf(move), clock: this.tools.clock }
  }

  #shardsOf({ from, to }: MoveRecord): Pick<MoveParts, 'giver' | 'receiver'> {
    return { giver: this.tools.fleet.shard(from), receiver: this.tools.fleet.shard(to) }
  }

  async #update(change: (now: OperationRecord) => OperationRecord): Promise<void> {
    await this.tools.journal.update(this.id, change, this.signal)
  }
}
