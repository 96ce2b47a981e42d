import { partitionOf } from '../../../core/slot.js'
import type { HeldPartitions, NodeEvent } from '../../../wire/watch.js'

/** A change of a key as it happened, at a moment of the whole cluster. */
export interface Happened {
  readonly key: string
  readonly version: bigint
  readonly at: number
}

interface Entry {
  readonly event: NodeEvent | undefined
  readonly held: HeldPartitions | undefined
  readonly at: number
}

export const SHARDS = [1, 2, 3]

/** One key each of a few partitions. */
export const KEYS = ['a', 'b', 'c'].map((name) => ({ name, partition: partitionOf(Buffer.from(name)) }))

/** Shards whose partitions move, with the log of each, as they tell it. Moves are those of node-go/move: frozen, then released or thawed, then activated. */
export class MovingShards {
  readonly logs = new Map<number, Entry[]>(SHARDS.map((shard) => [shard, []]))
  readonly happened: Happened[] = []
  readonly #owner = new Map<number, number | undefined>()
  readonly #version = new Map<string, bigint>()
  /** What the next step of a move is to be, by partition. */
  readonly #moves = new Map<number, { to: number; epoch: bigint; released: boolean }>()
  #time = 0
  #epoch = 1n

  constructor() {
    for (const { partition } of KEYS) {
      this.#owner.set(partition, 1)
      this.#hold(1, { first: partition, last: partition, epoch: 1n, holding: 'owned' })
    }
  }

  get now(): number {
    return this.#time
  }

  /** One thing more: what it is the numbers say. */
  step(what: number, which: number, shard: number): void {
    const { name, partition } = KEYS[which % KEYS.length] as (typeof KEYS)[number]
    const move = this.#moves.get(partition)
    const owner = this.#owner.get(partition)
    if (move === undefined && what < 5) this.#write(name, owner as number)
    else if (move === undefined) this.#freeze(partition, owner as number, SHARDS[shard % SHARDS.length] as number)
    else if (move.released) this.#activate(partition, move)
    else if (what < 2) this.#thaw(partition, owner as number, move)
    else this.#release(partition, owner as number, move)
  }

  /** How far a shard's log was at a moment. */
  lengthAt(shard: number, at: number): number {
    return (this.logs.get(shard) as Entry[]).filter((entry) => entry.at <= at).length
  }

  /** How the shard holds its partitions after so many entries. */
  heldAt(shard: number, length: number): HeldPartitions[] {
    const held = new Map<number, HeldPartitions>()
    for (const entry of (this.logs.get(shard) as Entry[]).slice(0, length)) {
      if (entry.held !== undefined) held.set(entry.held.first, entry.held)
    }
    return [...held.values()]
  }

  #write(key: string, shard: number): void {
    const version = (this.#version.get(key) ?? 0n) + 1n
    this.#version.set(key, version)
    this.#log(
      shard,
      { change: { type: 'put', key: Buffer.from(key), value: new Uint8Array(), version }, next: this.#next(shard) },
      undefined,
    )
    this.happened.push({ key, version, at: this.#time })
  }

  #freeze(partition: number, owner: number, to: number): void {
    if (to === owner) return
    const epoch = ++this.#epoch
    this.#moves.set(partition, { to, epoch, released: false })
    this.#hold(owner, { first: partition, last: partition, epoch, holding: 'frozen' })
  }

  #thaw(partition: number, owner: number, { to, epoch }: { to: number; epoch: bigint }): void {
    this.#moves.delete(partition)
    this.#hold(owner, { first: partition, last: partition, epoch, holding: 'owned' })
    // The receiver discards what it has; its row looks as if it had released something.
    this.#hold(to, { first: partition, last: partition, epoch, holding: 'gone' })
  }

  #release(partition: number, owner: number, move: { epoch: bigint; released: boolean }): void {
    move.released = true
    this.#owner.set(partition, undefined)
    this.#tell(owner, 'released', { first: partition, last: partition, epoch: move.epoch, holding: 'gone' })
  }

  #activate(partition: number, { to, epoch }: { to: number; epoch: bigint }): void {
    this.#moves.delete(partition)
    this.#owner.set(partition, to)
    this.#tell(to, 'activated', { first: partition, last: partition, epoch, holding: 'owned' })
  }

  #tell(shard: number, type: 'released' | 'activated', partitions: HeldPartitions): void {
    this.#log(shard, { change: { type, partitions }, next: this.#next(shard) }, partitions)
  }

  #hold(shard: number, held: HeldPartitions): void {
    this.#log(shard, undefined, held)
  }

  #next(shard: number) {
    return { index: BigInt((this.logs.get(shard) as Entry[]).length + 1), skip: 0 }
  }

  #log(shard: number, event: NodeEvent | undefined, held: HeldPartitions | undefined): void {
    ;(this.logs.get(shard) as Entry[]).push({ event, held, at: ++this.#time })
  }
}
