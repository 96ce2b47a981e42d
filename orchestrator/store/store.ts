import { type Clock, systemClock } from '../core/clock.js'
import type { LeaseOptions, LeaseStore } from '../core/lease.js'
import { DEFAULT_LIMITS, type Limits } from '../core/limits.js'
import type { MapSource } from '../core/map-source.js'
import {
  type AppendResult,
  type CompareAndSetResult,
  type DeleteResult,
  type GetResult,
  type IncrementResult,
  isPlaced,
  isWrite,
  type Operation,
  type PutResult,
  type Result,
  type Stamp,
} from '../core/operation.js'
import type { Range, RangeOptions, RangeStore, ScanPage, ScanQuery } from '../core/range.js'
import { type Rng, systemRng } from '../core/rng.js'
import { partitionOf } from '../core/slot.js'
import { type ClusterMap, supersedes } from '../core/topology.js'
import { type KvError, SessionExpiredError, UnavailableError, WrongShardError } from '../errors/index.js'
import type { LaneOptions } from '../wire/lane.js'
import type { Call, Done } from './call.js'
import type { GatewayList } from './detour.js'
import type { StoreEvent } from './events.js'
import { type ExecuteOptions, executeOn, performOn } from './execute.js'
import { Executor, type Router } from './executor.js'
import { grantLease, keepAlive, revokeLease } from './lease/lease.js'
import type { PageSource } from './scan/pages.js'
import { countRange, scanPage } from './scan/scan.js'
import { Sessions } from './sessions.js'
import { Shard, type ShardOptions } from './shard.js'

export interface StoreOptions {
  readonly map: MapSource
  readonly limits?: Limits
  readonly clock?: Clock
  readonly rng?: Rng
  readonly onEvent?: (event: StoreEvent) => void
  /** Asked on behalf of a shard whose nodes cannot be reached from here. */
  readonly gateways?: GatewayList
  /** Ms without any answer from a node that owes some before others are asked. */
  readonly stallMs?: number
  /** It carries what other processes ask, as a gateway's does. Default false. */
  readonly relayed?: boolean
  /** For tests: how lanes connect. */
  readonly connect?: LaneOptions['connect']
}

export interface WriteOptions extends ExecuteOptions {
  /** Applies only if the key's version is this one; 0 means absent. Else PRECONDITION_FAILED. */
  readonly ifVersion?: bigint
  /** Answers with what it replaces, up to PREVIOUS_BYTES_MAX. Larger: TOO_LARGE, and nothing is written. */
  readonly returnPrevious?: boolean
}

export interface ReadOptions extends ExecuteOptions {
  /** Any replica may answer, with what was current at some moment no earlier than so many ms before the call. 0: linearizable. */
  readonly staleMs?: number
}

const STALL_MS = 300

/**
 * The whole cluster: routes operations by the newest map to their shards' leaders. Every operation has a deadline and ends
 * in a result or a KvError with an honest outcome. Concurrent operations are independent: who needs order awaits.
 */
export class Store implements RangeStore, LeaseStore {
  readonly #executor: Executor
  readonly #sessions: Sessions
  readonly #source: MapSource
  readonly #limits: Limits
  readonly #onEvent: (event: StoreEvent) => void
  readonly #shardOptions: ShardOptions
  readonly #unsubscribe: () => void
  readonly #pages: PageSource
  readonly #shards = new Map<number, Shard>()
  /** No longer in the map, and still asked about writes in doubt: they alone know. Each closes with its last call. */
  readonly #leaving = new Set<Shard>()
  /** By partition. */
  #owners: Shard[] = []
  #map: ClusterMap

  constructor(options: StoreOptions) {
    this.#source = options.map
    this.#map = options.map.current()
    this.#limits = options.limits ?? DEFAULT_LIMITS
    this.#onEvent = options.onEvent ?? (() => {})
    const clock = options.clock ?? systemClock
    this.#pages = { maps: options.map, clock, execute: (operation, asked) => this.execute(operation, asked) }
    const rng = options.rng ?? systemRng
    const router: Router = {
      route: (call) => this.#route(call),
      learn: (call, error) => this.#learn(call, error),
      forget: (call) => {
        call.shard?.forget(call)
        this.#sessions.forget(call)
        if (call.settled) this.#assign(call, undefined)
      },
    }
    this.#executor = new Executor(router, { limits: this.#limits, clock, rng })
    this.#sessions = new Sessions({ executor: this.#executor, rng, deadlineMs: this.#limits.deadlineMs })
    this.#shardOptions = {
      cluster: this.#map.clusterId,
      gateways: options.gateways,
      lane: {
        limits: this.#limits,
        clock,
        rng,
        epoch: () => this.#map.epoch,
        stallMs: options.stallMs ?? STALL_MS,
        patienceMs: Number.POSITIVE_INFINITY,
        relayed: options.relayed,
        connect: options.connect,
      },
      park: (call) => this.#executor.park(call),
      release: (call) => this.#executor.release(call),
      refreshMap: () => this.#source.refresh(this.#map.epoch + 1n),
      onEvent: this.#onEvent,
    }
    this.#install(this.#map)
    this.#unsubscribe = options.map.subscribe((map) => this.updateMap(map))
  }

  async get(key: Uint8Array, options?: ReadOptions): Promise<GetResult> {
    return (await this.execute({ kind: 'get', key, staleMs: options?.staleMs }, options)) as GetResult
  }

  async put(key: Uint8Array, value: Uint8Array, options?: WriteOptions): Promise<PutResult> {
    const { ifVersion, returnPrevious } = options ?? {}
    return (await this.execute({ kind: 'put', key, value, ifVersion, returnPrevious }, options)) as PutResult
  }

  /** Deleting an absent key succeeds. */
  async delete(key: Uint8Array, options?: WriteOptions): Promise<DeleteResult> {
    const { ifVersion, returnPrevious } = options ?? {}
    return (await this.execute({ kind: 'delete', key, ifVersion, returnPrevious }, options)) as DeleteResult
  }

  /** Adds bytes to the end of the value; an absent key is empty. */
  async append(key: Uint8Array, value: Uint8Array, options?: ExecuteOptions): Promise<AppendResult> {
    return (await this.execute({ kind: 'append', key, value }, options)) as AppendResult
  }

  /** Puts the value if the present one is the expected one; undefined: if there is none. */
  async compareAndSet(
    key: Uint8Array,
    expected: Uint8Array | undefined,
    value: Uint8Array,
    options?: ExecuteOptions,
  ): Promise<CompareAndSetResult> {
    return (await this.execute({ kind: 'compare-and-set', key, expected, value }, options)) as CompareAndSetResult
  }

  /** Adds to the int64 that the value is, in decimal; an absent key is 0. */
  async increment(key: Uint8Array, by: bigint, options?: ExecuteOptions): Promise<IncrementResult> {
    return (await this.execute({ kind: 'increment', key, by }, options)) as IncrementResult
  }

  /** This store, for those who ask only for ranges. */
  get ranges(): RangeStore {
    return this
  }

  /** A piece of a scan of the whole store. */
  scan(query: ScanQuery, limit: number, options: RangeOptions): Promise<ScanPage> {
    return scanPage(this.#pages, query, limit, options)
  }

  /** How many keys a range has. */
  count(range: Range, options: RangeOptions): Promise<number> {
    return countRange(this.#pages, range, options)
  }

  /** This store, for those who ask only for leases. */
  get leases(): LeaseStore {
    return this
  }

  grantLease(id: Uint8Array, ttlMs: number, options: LeaseOptions): Promise<void> {
    return grantLease(this.#pages, id, ttlMs, options)
  }

  keepAlive(id: Uint8Array, options: LeaseOptions): Promise<number> {
    return keepAlive(this.#pages, id, options)
  }

  revokeLease(id: Uint8Array, options: LeaseOptions): Promise<boolean> {
    return revokeLease(this.#pages, id, options)
  }

  /** Rejects with a KvError, or with a TypeError when the arguments are not what they must be. */
  execute(operation: Operation, options?: ExecuteOptions): Promise<Result> {
    return executeOn(this.#executor, operation, options?.deadlineMs ?? this.#limits.deadlineMs, options?.signal)
  }

  /** The same for arguments that were checked, and without a promise. `done` may be called before it returns. */
  perform(operation: Operation, deadlineMs: number, signal: AbortSignal | undefined, done: Done): void {
    performOn(this.#executor, operation, deadlineMs, signal, done)
  }

  /**
   * The same without a promise, for the hot path. `deadlineMs` is from now. `done` may be called before it returns. A write
   * with a stamp is one that a client has numbered; any other is numbered here.
   */
  submit(operation: Operation, deadlineMs: number, done: Done, stamp?: Stamp): void {
    this.#executor.submit(operation, deadlineMs, done, stamp)
  }

  /** Why `submit` would refuse any operation now, if it would. */
  full(): KvError | undefined {
    return this.#executor.full()
  }

  /**
   * Takes a newer map; an older one is ignored. Calls on their way go on, and are routed by it when they try again: at once,
   * if they wait and it gives their partition to another shard.
   */
  updateMap(map: ClusterMap): void {
    if (!supersedes(map, this.#map)) return
    this.#map = map
    this.#install(map)
    this.#onEvent({ type: 'map.updated', epoch: map.epoch })
  }

  /** Ends every operation in flight with CANCELLED and its honest outcome, and frees everything. */
  close(): void {
    this.#unsubscribe()
    this.#executor.close()
    for (const shard of [...this.#shards.values(), ...this.#leaving]) shard.close()
  }

  #install(map: ClusterMap): void {
    const gone = new Map(this.#shards)
    for (const info of map.shards) {
      const shard = this.#shards.get(info.id)
      if (shard === undefined) this.#shards.set(info.id, new Shard(info, this.#shardOptions))
      else shard.update(info)
      gone.delete(info.id)
    }
    for (const [id, shard] of gone) {
      this.#shards.delete(id)
      this.#leaving.add(shard)
    }
    const before = this.#owners
    this.#owners = map.owners.map((owner) => this.#shards.get(owner) as Shard)
    this.#executor.reroute(({ operation }) => {
      if (isPlaced(operation)) return !this.#shards.has(operation.shard)
      const partition = partitionOf(operation.key)
      return this.#owners[partition] !== before[partition]
    })
    this.#sessions.retain(new Set(this.#shards.keys()))
    for (const shard of gone.values()) this.#closeIfDone(shard)
  }

  #route(call: Call): void {
    const shard = this.#shardFor(call)
    if (shard === undefined) {
      call.attempts++
      call.complete(this.#unknownShard(call), undefined)
      return
    }
    // Its number is one of the shard that it was meant for.
    if (call.shard !== shard) call.unstamp()
    this.#assign(call, shard)
    if (call.needsStamp && !this.#sessions.stamp(call, shard.id)) return
    shard.route(call)
  }

  /**
   * Who answers for a number is the shard whose session it is, for ever, whoever owns the key by now: a write in doubt stays
   * where it was sent, and a client's goes where its session was opened. All else goes to the owner of its key.
   */
  #shardFor(call: Call): Shard | undefined {
    if (call.inDoubt && call.shard !== undefined) return call.shard
    const { operation, passed } = call
    const stamped = passed?.session.shard ?? 0
    if (isPlaced(operation) && stamped === 0) return this.#shards.get(operation.shard)
    const named = operation.kind === 'open-session' ? operation.shard : stamped
    if (named === 0) return this.#ownerOf(call)
    return this.#shards.get(named) ?? [...this.#leaving].find(({ id }) => id === named)
  }

  /**
   * The map has no such shard: its sessions are known to nobody, and none can be opened there by this map. Unless the
   * client's is newer: then it is this one that has to come first, and nothing is said about the write. Who asked for a page
   * has to find out which shards there are.
   */
  #unknownShard({ operation, passed }: Call): KvError {
    const placed = isPlaced(operation)
    const what = placed ? operation.kind : 'session'
    const message = `the shard of the ${what} is not in the cluster map`
    const epoch = passed?.session.epoch ?? 0n
    if (epoch > this.#map.epoch) {
      this.#source.refresh(epoch)
      return new UnavailableError(`${message} of epoch ${this.#map.epoch} here`, { outcome: 'not-applied', epoch })
    }
    if (isWrite(operation) && !placed) return new SessionExpiredError(message, { outcome: 'not-applied' })
    if (placed) this.#source.refresh(this.#map.epoch + 1n)
    return new WrongShardError(message, { outcome: 'not-applied', epoch: this.#map.epoch })
  }

  /** Notes with whom the call is now; undefined: it has ended. */
  #assign(call: Call, shard: Shard | undefined): void {
    const before = call.shard
    if (before === shard) return
    call.shard = shard
    if (shard !== undefined) shard.calls++
    if (before === undefined) return
    before.calls--
    this.#closeIfDone(before)
  }

  #closeIfDone(shard: Shard): void {
    if (shard.calls === 0 && this.#leaving.delete(shard)) shard.close()
  }

  #learn(call: Call, error: KvError): boolean {
    const { shard, node } = call
    if (error.code === 'SESSION_EXPIRED') {
      this.#sessions.expired(call)
      return true
    }
    if (error.code === 'WRONG_SHARD' || error.code === 'MOVING') {
      const seen = error.epoch ?? 0n
      // A move's epoch may be the map's own, which has changed for another reason meanwhile: what counts is whom it names.
      const unexplained = error.code === 'WRONG_SHARD' && this.#ownerOf(call) === shard
      const known = unexplained ? this.#map.epoch + 1n : this.#map.epoch
      this.#source.refresh(seen > known ? seen : known)
      return this.#shardFor(call) !== shard
    }
    return shard !== undefined && node !== undefined && shard.learn(call, node, error)
  }

  #ownerOf(call: Call): Shard {
    const shard = this.#owners[partitionOf(call.operation.key)]
    if (shard === undefined) throw new Error('the map has fewer owners than partitions')
    return shard
  }
}
