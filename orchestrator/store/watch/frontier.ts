import { PARTITIONS, partitionOf } from '../../core/slot.js'
import type { HeldPartitions, NodeEvent, OwnerChange, Position } from '../../wire/watch.js'
import { encodeToken, type Frontiers } from './token.js'

/** Who has a partition at this point of the watch: a shard, or nobody after its release in this epoch. */
type Tenure = { readonly shard: number; readonly order: bigint } | { readonly shard: undefined; readonly epoch: bigint }

/** What to do with an event: `wait` until another shard's stream has got further, and offer it again. */
export type Verdict = 'tell' | 'pass' | 'wait'

/**
 * Makes one watch of those of the shards. Each change of a key is in the log of the shard that owned its partition then, and nowhere
 * else; so nothing is seen twice. The order of a key's changes is that of its owners: what the next owner's log says counts from the
 * activation on, and that waits until the release in the same epoch was seen in the log of the owner before. Activation follows release
 * in time, so whoever waits waits for something that has happened, and never in a circle.
 *
 * Pure: it knows neither streams nor time.
 */
export class Frontier {
  readonly #cluster: string
  readonly #wants: (partition: number) => boolean
  readonly #positions = new Map<number, Position>()
  /** Which shard of its id each of them is, that has a position or is about to get one. */
  readonly #incarnations = new Map<number, number>()
  /** Which of the watched partitions each shard has at its position. */
  readonly #owned = new Map<number, Set<number>>()
  readonly #tenures: (Tenure | undefined)[] = []
  /** The newest that a shard knows to be over, or not its own, of partitions at the beginning: nobody who is older may be taken for the owner. */
  readonly #gone: bigint[] = Array.from({ length: PARTITIONS }, () => -1n)
  #settled = false

  constructor(cluster: string, wants: (partition: number) => boolean, from?: Frontiers) {
    this.#cluster = cluster
    this.#wants = wants
    for (const [shard, position] of from?.positions ?? []) this.#positions.set(shard, position)
    for (const [shard, incarnation] of from?.incarnations ?? []) this.#incarnations.set(shard, incarnation)
    for (const [partition, epoch] of from?.released ?? []) this.#tenures[partition] = { shard: undefined, epoch }
  }

  /** Where a shard's stream goes on; undefined for one that nobody has heard of. */
  position(shard: number): Position | undefined {
    return this.#positions.get(shard)
  }

  /** Which shard of this id is followed; if none is, it is this one from now on. */
  incarnation(shard: number, present = 0): number {
    const known = this.#incarnations.get(shard)
    if (known === undefined) this.#incarnations.set(shard, present)
    return known ?? present
  }

  get shards(): Iterable<number> {
    return this.#positions.keys()
  }

  /** A shard's stream begins here for the first time, and the shard holds its partitions so. */
  begin(shard: number, position: Position, held: readonly HeldPartitions[]): void {
    this.#positions.set(shard, position)
    const owned = new Set<number>()
    this.#owned.set(shard, owned)
    for (const run of held) {
      for (let partition = run.first; partition <= run.last; partition++) {
        if (!this.#wants(partition)) continue
        if (run.holding !== 'gone') owned.add(partition)
        if (!this.#settled) this.#meet(shard, partition, run)
      }
    }
  }

  hasBegun(shard: number): boolean {
    return this.#owned.has(shard)
  }

  /** Of all who say that they have a partition the newest is right: the others' streams begin before they gave it away. */
  #meet(shard: number, partition: number, run: HeldPartitions): void {
    const order = orderOf(run)
    const known = this.#tenures[partition]
    if (known !== undefined && known.shard === undefined) return
    if (run.holding === 'gone') {
      if (order > (this.#gone[partition] as bigint)) this.#gone[partition] = order
    } else if (known === undefined || order > known.order) {
      this.#tenures[partition] = { shard, order }
    }
  }

  /**
   * All shards have begun. Says whether each partition has one owner, so that the watch can go on from here. If not, one is between two
   * owners just now, and none of the streams may be going to say who is next: begin anew. With a token that does not happen.
   */
  settle(fresh: boolean): boolean {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      if (!this.#wants(partition)) continue
      const tenure = this.#tenures[partition]
      if (tenure === undefined) return false
      if (fresh && tenure.shard !== undefined && tenure.order < (this.#gone[partition] as bigint)) return false
    }
    this.#settled = true
    return true
  }

  /** What is to be done with a shard's next event; unless it is to wait, the shard's position is after it then. */
  take(shard: number, { change, next }: NodeEvent): Verdict {
    let verdict: Verdict = 'pass'
    if (change.type === 'put' || change.type === 'delete') {
      if (this.#tenures[partitionOf(change.key)]?.shard === shard) verdict = 'tell'
    } else if (this.#changeOwner(shard, change) === 'wait') {
      return 'wait'
    }
    this.#positions.set(shard, next)
    return verdict
  }

  /** The shard's stream has got so far, and there was nothing more. */
  advance(shard: number, next: Position): void {
    this.#positions.set(shard, next)
  }

  /** Whether the shard has none of the watched partitions at its position. */
  isEmpty(shard: number): boolean {
    return this.#owned.get(shard)?.size === 0
  }

  /** A shard that is no more: it has nothing, and never will have. */
  forget(shard: number): void {
    this.#positions.delete(shard)
    this.#incarnations.delete(shard)
    this.#owned.delete(shard)
  }

  token(): Uint8Array {
    const released = new Map<number, bigint>()
    for (const [partition, tenure] of this.#tenures.entries()) {
      if (tenure !== undefined && tenure.shard === undefined) released.set(partition, tenure.epoch)
    }
    return encodeToken({
      cluster: this.#cluster,
      positions: this.#positions,
      incarnations: this.#incarnations,
      released,
    })
  }

  #changeOwner(shard: number, { type, partitions }: OwnerChange): 'pass' | 'wait' {
    const { first, last, epoch } = partitions
    const numbers: number[] = []
    for (let partition = first; partition <= last; partition++) if (this.#wants(partition)) numbers.push(partition)
    const owned = this.#owned.get(shard)
    if (type === 'released') {
      for (const partition of numbers) {
        owned?.delete(partition)
        if (this.#tenures[partition]?.shard === shard) this.#tenures[partition] = { shard: undefined, epoch }
      }
      return 'pass'
    }
    if (numbers.some((partition) => this.#isToWait(partition, shard, epoch))) return 'wait'
    for (const partition of numbers) {
      owned?.add(partition)
      const tenure = this.#tenures[partition]
      if (tenure?.shard === undefined && tenure?.epoch === epoch) {
        this.#tenures[partition] = { shard, order: orderOf({ epoch, holding: 'owned' }) }
      }
    }
    return 'pass'
  }

  /** Whether the release before this activation is still to be seen. One that is older than what is known is past, and passed over. */
  #isToWait(partition: number, shard: number, epoch: bigint): boolean {
    const tenure = this.#tenures[partition]
    if (tenure === undefined) return false
    if (tenure.shard === undefined) return tenure.epoch < epoch
    return tenure.shard !== shard && tenure.order < orderOf({ epoch, holding: 'owned' })
  }
}

/**
 * Holdings of a partition in the order in which they follow one another in the cluster: in one epoch it is frozen, then released, and
 * then owned, by the next shard or by the same one again.
 */
function orderOf({ epoch, holding }: Pick<HeldPartitions, 'epoch' | 'holding'>): bigint {
  return 3n * epoch + (holding === 'frozen' ? 0n : holding === 'gone' ? 1n : 2n)
}
