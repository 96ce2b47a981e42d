import { sleep } from '../../core/clock.js'
import { KvError } from '../../errors/index.js'
import type { ImportResponse } from '../../wire/node-admin.js'
import { own, serving } from '../bring-up.js'
import { refused } from '../faults.js'
import type { Group } from '../group.js'
import { withMove as mapWithMove, withoutShards, withShards } from '../map-changes.js'
import { infoOf } from '../map-keeper.js'
import { place } from '../placement.js'
import { payDebts } from './debts.js'
import { goneOf, goneWords, isTooMany } from './gone.js'
import type { Kind, OperationParts, OperationTools, Wish } from './kind.js'
import { awaitSwept, type MoveParts, runImport, settle } from './move.js'
import { restAfterMove } from './move-rest.js'
import { planMoves, turnBack } from './plan-moves.js'
import { goalOf, type MoveRecord, type ReshardRecord, withMove } from './reshard-record.js'
import { UnderWay } from './under-way.js'

/** Changes the number of shards. */
export const reshard: Kind<ReshardRecord> = {
  describe: ({ fromShards, toShards }) => `scale from ${fromShards} to ${toShards} shards`,
  steps: () => [],
  cancelled: expectNotRetiring,
  run,
}

/** That there be so many shards. */
export function wishForShards(shards: number): Wish {
  return {
    isMetBy: (open) => open.kind === 'reshard' && open.toShards === shards && open.state === 'running',
    plan: (parts) => planned(shards, parts),
    expectPossible: ({ fleet }) => fleet.expectRoom(shards),
  }
}

function planned(shards: number, { publisher, clock, partitionsPerMoveMax }: OperationParts): ReshardRecord {
  const map = publisher.maps.current()
  const target = place(Array.from({ length: shards }, (_, at) => at + 1))
  const fromShards = map.shards.length
  const isThere = fromShards === shards
  const moves = isThere ? [] : planMoves(map.owners, target, partitionsPerMoveMax)
  const fresh = { paused: false, turned: false, retiring: false, begunAt: clock.now(), endedAt: 0, moves }
  const state = isThere ? 'done' : 'running'
  return { format: 1, kind: 'reshard', id: '', fromShards, toShards: shards, state, ...fresh }
}

function expectNotRetiring(now: ReshardRecord): ReshardRecord {
  if (!now.retiring || now.state !== 'running') return now
  throw refused(`operation ${now.id} takes its shards away already: let it end, then scale to ${now.fromShards}`)
}

async function run(record: ReshardRecord, tools: OperationTools, recalled: AbortSignal, signal: AbortSignal) {
  const underWay = new UnderWay(record, tools, recalled, signal)
  const operation = new Reshard(underWay, tools)
  await operation.settleWhatRan()
  if (underWay.isSteered || underWay.isPaused) return
  await operation.turnBackIfCancelled()
  await operation.addShards()
  while (!underWay.isSteered && (await operation.moveNext())) {}
  if (underWay.isSteered) return
  await operation.removeShards()
  await underWay.end()
}

/** A new shard has nodes on machines that are gone, and cannot begin without them. */
class ShardLost extends Error {}

class Reshard {
  constructor(
    private readonly underWay: UnderWay<ReshardRecord>,
    private readonly tools: OperationTools,
  ) {}

  /** At most one move is under way. Whatever becomes of the operation, it is not left half done. */
  async settleWhatRan(): Promise<void> {
    const at = this.underWay.now.moves.findIndex(({ state }) => state === 'running')
    if (at < 0) return
    this.tools.doing('finding out what became of the move that was under way')
    await this.#settle(at)
  }

  async turnBackIfCancelled(): Promise<void> {
    await this.underWay.update((now) =>
      now.state !== 'cancelling' || now.turned ? now : { ...now, turned: true, moves: turnBack(now.moves) },
    )
  }

  /** The shards that are to be: running, owners of nothing, and in the map, so that clients know their nodes. */
  async addShards(): Promise<void> {
    const { fleet, publisher } = this.tools
    const goal = goalOf(this.underWay.now)
    for (let attempt = 1; ; attempt++) {
      if (fleet.shape.shards < goal) this.tools.doing('starting the new shards')
      await fleet.growTo(goal)
      const known = new Set(publisher.maps.current().shards.map(({ id }) => id))
      const fresh = fleet.shards.filter(({ shard }) => shard <= goal && !known.has(shard))
      try {
        for (const group of fresh) await this.underWay.unlessRecalled((signal) => this.#begin(group, signal))
        if (this.underWay.isSteered) return
        if (fresh.length > 0) await publisher.change(withShards(fresh.map(infoOf)), this.underWay.signal)
        return
      } catch (error) {
        if (!(error instanceof ShardLost)) throw error
        await this.#takeAway(error, attempt)
        if (this.underWay.isSteered) return
      }
    }
  }

  /** Until it serves, and owns nothing. All of its members must be part of it first: a later change of members counts on that. */
  async #begin(group: Group, signal: AbortSignal): Promise<void> {
    const { fleet, publisher, clock, doing } = this.tools
    doing(`waiting for ${group.name}`)
    const isWhole = () => {
      const isWhole = group.record?.bootstrapped === true
      const [first, ...more] = goneOf(group, fleet)
      if (first === undefined || (isWhole && !isTooMany(group, more.length + 1))) return isWhole
      throw new ShardLost(`${group.name} cannot begin without ${first.name}: ${goneWords(first)}`)
    }
    await serving(group, signal, isWhole)
    await own(group, publisher.maps.current().epoch, [], clock, signal, false)
  }

  /** Shards that are in no map have nothing that anybody would miss: others are made, on machines that answer. */
  async #takeAway({ message }: ShardLost, attempt: number): Promise<void> {
    const { fleet, publisher, telemetry, doing } = this.tools
    telemetry.emit('operation.stumbled', { reason: message })
    doing(`the new shards are begun anew: ${message}`)
    await fleet.shrinkTo(publisher.maps.current().shards.at(-1)?.id ?? 0, this.underWay.signal)
    await this.underWay.restAfter(attempt)
  }

  /** Does the next move, or finds out that it was not done. False when none is left. */
  async moveNext(): Promise<boolean> {
    const { journal, publisher, telemetry, clock } = this.tools
    const at = this.underWay.now.moves.findIndex(({ state }) => state === 'waiting')
    const move = this.underWay.now.moves[at]
    if (move === undefined) return false
    if (move.attempts > 0) await this.underWay.restAfter(move.attempts)
    this.tools.doing(`moving partitions from shard ${move.from} to shard ${move.to}`)
    await this.underWay.unlessRecalled(async (signal) => {
      const shards = this.#shardsOf(move)
      await payDebts(shards.receiver, journal, clock, signal)
      await awaitSwept({ ...shards, move, clock }, signal)
    })
    if (this.underWay.isSteered) return true
    // Written down before it is used: whoever comes next settles this attempt before there is another one.
    const epoch = await journal.nextEpoch(publisher.maps.current().epoch, this.underWay.signal)
    await this.underWay.update((now) => withMove(now, at, { state: 'running', epoch, attempts: move.attempts + 1 }))
    const began = clock.monotonic()
    const outcome = await runImport(this.#partsOf(at), this.tools.heard, this.underWay.either)
    if (!(outcome instanceof KvError)) {
      await this.#moved(at, outcome)
      await this.#yieldToClients(clock.monotonic() - began)
    } else if ((await this.#settle(at)) === 'not moved' && !this.underWay.recalled.aborted) {
      telemetry.emit('move.failed', { from: move.from, to: move.to, reason: outcome.message })
      this.tools.doing(`shard ${move.from} to shard ${move.to} is tried again: ${outcome.message}`)
    }
    return true
  }

  async #yieldToClients(tookMs: number): Promise<void> {
    if (this.underWay.now.moves.every(({ state }) => state === 'done')) return
    const { clock, moveRestFactor } = this.tools
    const restMs = restAfterMove(tookMs, moveRestFactor)
    await this.underWay.unlessRecalled((signal) => sleep(clock, restMs, signal))
  }

  /** Takes away the shards that are not to be. They own nothing any more. */
  async removeShards(): Promise<void> {
    const { fleet, publisher } = this.tools
    const goal = goalOf(this.underWay.now)
    const last = publisher.maps.current().shards.at(-1)?.id ?? 0
    if (last <= goal && fleet.isAt(goal)) return
    const owned = this.underWay.now.moves.some(({ from, state }) => from > goal && state === 'done')
    if (last > goal && owned && !this.underWay.now.retiring) await this.#linger()
    if (this.underWay.isSteered) return
    // Past this it cannot be cancelled.
    await this.underWay.updateUnlessSteered((now) => ({ ...now, retiring: true }))
    if (!this.underWay.now.retiring) return
    this.tools.doing('taking the shards away that own nothing any more')
    await publisher.change(withoutShards(goal), this.underWay.signal)
    await fleet.shrinkTo(goal, this.underWay.signal)
  }

  /** A write in doubt is asked of the shard that it was sent to, for as long as its call lasts. */
  async #linger(): Promise<void> {
    const { clock, lingerMs } = this.tools
    this.tools.doing(`waiting ${lingerMs / 1000} s for writes that were sent to the shards that go`)
    await this.underWay.unlessRecalled((signal) => sleep(clock, lingerMs, signal))
  }

  /** What is not moved does not wait for the receiver, which may be gone for good: that it has to drop it is written down. */
  async #settle(at: number): Promise<'moved' | 'not moved'> {
    const parts = this.#partsOf(at)
    const outcome = await settle(parts, this.underWay.signal)
    if (outcome === 'moved') await this.#moved(at)
    else {
      const { to: shard, epoch, partitions } = parts.move
      await this.tools.journal.owe({ shard, epoch, partitions }, this.underWay.signal)
      this.tools.owed()
      await this.underWay.update((now) => withMove(now, at, { state: 'waiting' }))
    }
    return outcome
  }

  /** The map first: as long as the move counts as running, whoever comes next does this again. */
  async #moved(at: number, { records = 0n, bytes = 0n, pauseUs = 0n }: Partial<ImportResponse> = {}): Promise<void> {
    const { move, epoch } = this.#partsOf(at)
    await this.tools.publisher.change(mapWithMove(move.partitions, move.from, move.to, epoch), this.underWay.signal)
    const told = { records: Number(records), bytes: Number(bytes), pauseUs: Number(pauseUs) }
    await this.underWay.update((now) => withMove(now, at, { state: 'done', ...told }))
  }

  #partsOf(at: number): MoveParts {
    const move = this.underWay.now.moves[at]
    if (move === undefined) throw new TypeError(`no move ${at}`)
    return { move, epoch: BigInt(move.epoch), ...this.#shardsOf(move), clock: this.tools.clock }
  }

  #shardsOf({ from, to }: MoveRecord): Pick<MoveParts, 'giver' | 'receiver'> {
    return { giver: this.tools.fleet.shard(from), receiver: this.tools.fleet.shard(to) }
  }
}
