import { checkAddress } from '../core/address.js'
import { systemClock } from '../core/clock.js'
import { DEFAULT_LIMITS, type Limits, VALUE_BYTES_TOP } from '../core/limits.js'
import type { MapCell } from '../core/map-source.js'
import type { Operation, Result } from '../core/operation.js'
import { systemRng } from '../core/rng.js'
import { describe } from '../core/words.js'
import { type KvError, kvError } from '../errors/index.js'
import type { PageSource } from '../store/scan/pages.js'
import { countRange } from '../store/scan/scan.js'
import { Store } from '../store/store.js'
import { checkMs, checkOptions, checkSignal, type Names } from './arguments.js'
import {
  type Appended,
  Batch,
  type BatchResult,
  CONDITION_OPTIONS,
  type ConditionOptions,
  compareAndSetOperation,
  type Deleted,
  PUT_OPTIONS,
  type PutConditionOptions,
  putOperation,
  replyOf,
  type Stored,
  TOUCH_OPTIONS,
  type TouchOptions,
} from './batch.js'
import { DELETE_PREFIX_OPTIONS, type DeletePrefixOptions, Deletions, type PrefixDeletion } from './deletion.js'
import { type Engine, Front, READ_OPTIONS, REQUEST_OPTIONS, type ReadOptions, type RequestOptions } from './front.js'
import { Gateway } from './gateway.js'
import { Leases } from './lease.js'
import { MapWatcher } from './map-watcher.js'
import {
  COUNT_OPTIONS,
  type CountOptions,
  checkedRequest,
  chosenRange,
  SCAN_OPTIONS,
  type ScannedEntry,
  type ScannedKey,
  type ScanOptions,
  scanWith,
} from './scan.js'
import { TransactionStart } from './transaction.js'
import { type Bytes, type Hit, toBytes } from './values.js'
import {
  WATCH_OPTIONS,
  type Watch,
  type WatchEvent,
  Watches,
  type WatchOptions,
  type WatchProgress,
  type WatchTarget,
} from './watch.js'

export interface KvClientOptions {
  /** Gateways of one cluster, host:port. One that answers is enough; the others are for when it does not. */
  readonly endpoints: readonly string[]
  /**
   * `direct`: operations go straight to the shards' leaders. `gateway`: all go through a gateway. `auto`: direct, but
   * through a gateway for a shard whose nodes cannot be reached from here. Default auto.
   */
  readonly mode?: 'auto' | 'direct' | 'gateway'
  /** How long an operation may take, ms, unless it says otherwise; and how long connecting may. Default 5,000. */
  readonly deadlineMs?: number
  /** What may be in flight at once; callers beyond it wait. Default 64 MiB and 65,536 operations. */
  readonly inFlightBytesMax?: number
  readonly inFlightOperationsMax?: number
  /** Aborting it gives up connecting. */
  readonly signal?: AbortSignal
}

export interface WriteOptions extends RequestOptions, ConditionOptions {}
export interface PutOptions extends RequestOptions, PutConditionOptions {}

/** Whose answer has a `previous`. */
export interface Returning {
  readonly returnPrevious: true
}
/** That answer. */
export interface WithPrevious {
  /** Null: there was nothing. */
  readonly previous: Hit | null
}

/** What each call takes: all else is a mistake. */
const OPTIONS = {
  connect: {
    endpoints: true,
    mode: true,
    deadlineMs: true,
    inFlightBytesMax: true,
    inFlightOperationsMax: true,
    signal: true,
  } satisfies Names<KvClientOptions>,
  get: READ_OPTIONS,
  put: { ...REQUEST_OPTIONS, ...PUT_OPTIONS } satisfies Names<PutOptions>,
  delete: { ...REQUEST_OPTIONS, ...CONDITION_OPTIONS } satisfies Names<WriteOptions>,
  append: REQUEST_OPTIONS,
  compareAndSet: REQUEST_OPTIONS,
  increment: REQUEST_OPTIONS,
  touch: { ...REQUEST_OPTIONS, ...TOUCH_OPTIONS } satisfies Names<TouchOptions & RequestOptions>,
  ttlOf: REQUEST_OPTIONS,
  scan: SCAN_OPTIONS,
  count: COUNT_OPTIONS,
  deletePrefix: DELETE_PREFIX_OPTIONS,
  watch: WATCH_OPTIONS,
  close: { drainMs: true },
} as const

const MODES: readonly unknown[] = ['auto', 'direct', 'gateway']
const DRAIN_MS = 5000

interface Parts {
  readonly engine: Engine
  readonly watches: Watches
  readonly deletions: Deletions
  readonly maps: MapWatcher
  /** Of the map watcher. */
  readonly source: MapCell
  readonly limits: Limits
}

/**
 * A client of a whole cluster: it follows the cluster map and talks to the leaders themselves. Safe for any number of
 * concurrent callers, which are independent: who needs order awaits.
 *
 * A write happens once, also when it has to be sent again because a node died. Calls reject with a KvError (its `outcome`
 * says what is known of a write that failed), or with a TypeError for what is a mistake of the program. `close` it, or the
 * process will not end.
 */
export class KvClient {
  readonly #front: Front
  readonly #maps: MapWatcher
  readonly #watches: Watches
  readonly #deletions: Deletions
  readonly #pages: PageSource
  readonly #deadlineMs: number
  /** Owners of many keys, which are deleted with them: `grant` makes one, and `of` names one by its id. */
  readonly lease: Leases
  #closed: Promise<void> | undefined

  private constructor({ engine, watches, deletions, maps, source, limits }: Parts) {
    this.#maps = maps
    this.#watches = watches
    this.#deletions = deletions
    this.#deadlineMs = limits.deadlineMs
    const execute: PageSource['execute'] = (operation, options) => this.#execute(operation, options)
    this.#pages = { maps: source, clock: systemClock, execute }
    this.lease = new Leases({ pages: this.#pages, clock: systemClock, rng: systemRng, deadlineMs: limits.deadlineMs })
    const explain = (error: KvError) => this.#explained(error)
    this.#front = new Front({ engine, limits, clock: systemClock, explain })
  }

  /** Learns the cluster map from any endpoint. Rejects with UNAVAILABLE when none gives it before the deadline. */
  static async connect(options: KvClientOptions): Promise<KvClient> {
    checkConnection(options)
    const limits = limitsOf(options)
    const endpoints = [...new Set(options.endpoints)]
    const maps = new MapWatcher({ endpoints, clock: systemClock, pinned: true })
    try {
      const source = await maps.first(limits.deadlineMs, options.signal)
      const engine = engineFor(options.mode ?? 'auto', endpoints, maps, source, limits)
      const mode = options.mode ?? 'auto'
      const watches = new Watches({ mode, endpoints, maps: source, clock: systemClock, rng: systemRng })
      const deletions = new Deletions({ endpoints, deadlineMs: limits.deadlineMs, clock: systemClock })
      return new KvClient({ engine, watches, deletions, maps, source, limits })
    } catch (error) {
      maps.close()
      throw error
    }
  }

  /** Of the cluster, for ever: where the same data is, it is the same one. */
  get clusterId(): string {
    return this.#pages.maps.current().clusterId
  }

  /** The key's value with its version, or null when it has none. */
  async get(key: Bytes, options?: ReadOptions): Promise<Hit | null> {
    checkOptions(options, OPTIONS.get, 'get')
    const operation: Operation = { kind: 'get', key: toBytes(key, 'key'), staleMs: options?.staleMs }
    return (await this.#reply(operation, options)) as Hit | null
  }

  async put(key: Bytes, value: Bytes, options: PutOptions & Returning): Promise<Stored & WithPrevious>
  async put(key: Bytes, value: Bytes, options?: PutOptions): Promise<Stored>
  async put(key: Bytes, value: Bytes, options?: PutOptions): Promise<Stored> {
    checkOptions(options, OPTIONS.put, 'put')
    return (await this.#reply(putOperation(key, value, options), options)) as Stored
  }

  /** Deleting an absent key succeeds, unless `ifVersion` names a version. */
  async delete(key: Bytes, options: WriteOptions & Returning): Promise<Deleted & WithPrevious>
  async delete(key: Bytes, options?: WriteOptions): Promise<Deleted>
  async delete(key: Bytes, options?: WriteOptions): Promise<Deleted> {
    checkOptions(options, OPTIONS.delete, 'delete')
    const { ifVersion, returnPrevious } = options ?? {}
    const operation: Operation = { kind: 'delete', key: toBytes(key, 'key'), ifVersion, returnPrevious }
    return (await this.#reply(operation, options)) as Deleted
  }

  /** Adds bytes to the end of the value; an absent key is empty. */
  async append(key: Bytes, value: Bytes, options?: RequestOptions): Promise<Appended> {
    checkOptions(options, OPTIONS.append, 'append')
    const operation: Operation = { kind: 'append', key: toBytes(key, 'key'), value: toBytes(value, 'value') }
    return (await this.#reply(operation, options)) as Appended
  }

  /**
   * Puts the value if the present one is the expected one, byte for byte; null: if the key is absent. Else PRECONDITION_FAILED,
   * whose `version` is that of the key. Both values together are at most what a value may be; for more there is `ifVersion`.
   */
  async compareAndSet(key: Bytes, expected: Bytes | null, value: Bytes, options?: RequestOptions): Promise<Stored> {
    checkOptions(options, OPTIONS.compareAndSet, 'compareAndSet')
    return (await this.#reply(compareAndSetOperation(key, expected, value), options)) as Stored
  }

  /**
   * Adds to the number that the value is, and gives the sum: an int64 in decimal ("-3"), which `get` and `put` read and write as
   * any text. An absent key is 0. Another value is NOT_A_NUMBER, a sum that is no int64 OVERFLOW; neither changes anything.
   */
  async increment(key: Bytes, by = 1n, options?: RequestOptions): Promise<bigint> {
    checkOptions(options, OPTIONS.increment, 'increment')
    const operation: Operation = { kind: 'increment', key: toBytes(key, 'key'), by }
    return (await this.#reply(operation, options)) as bigint
  }

  /**
   * Operations on keys of one partition, all of them at one moment or none: `txn().if(key, 'version', '==', 3).then(op.put(key, 'v'),
   * op.get(other)).else(op.get(key)).run()`. A hash tag keeps keys in one partition, as in "{user:1}name" and "{user:1}mail"; else it
   * is CROSS_SHARD. At most 128 conditions and operations, 512 KiB of keys and values, and 16 KiB of values that gets give.
   */
  txn(): TransactionStart {
    return new TransactionStart((operation, options) => this.#execute(operation, options))
  }

  /**
   * Gives a key another time to live, or with no `ttlMs` none: it stays. Its value and version are as before. Answers whether the key
   * was there.
   */
  async touch(key: Bytes, options?: TouchOptions & RequestOptions): Promise<boolean> {
    checkOptions(options, OPTIONS.touch, 'touch')
    const operation: Operation = { kind: 'touch', key: toBytes(key, 'key'), ttlMs: options?.ttlMs }
    return (await this.#reply(operation, options)) as boolean
  }

  /** How long the key still lives, ms. null: it stays for ever, or is absent. 0: it is due, and about to be deleted. */
  async ttlOf(key: Bytes, options?: RequestOptions): Promise<number | null> {
    checkOptions(options, OPTIONS.ttlOf, 'ttlOf')
    return (await this.#reply({ kind: 'ttl-of', key: toBytes(key, 'key') }, options)) as number | null
  }

  /**
   * Keys of a range in their order, over all shards. Each key that is there during the whole scan comes once, whatever moves
   * meanwhile; what is written meanwhile may come. It is no snapshot: each part is what was there when it was read. It reads
   * ahead a MiB or so; whoever leaves the loop leaves nothing behind. `deadlineMs` is how long any step of it may take.
   */
  scan(options: ScanOptions & { readonly keysOnly: true }): AsyncGenerator<ScannedKey>
  scan(options?: ScanOptions & { readonly keysOnly?: false }): AsyncGenerator<ScannedEntry>
  scan(options: ScanOptions = {}): AsyncGenerator<ScannedKey> {
    checkOptions(options, OPTIONS.scan, 'scan')
    return scanWith(this.#pages, options, this.#deadlineMs)
  }

  /** How many keys a range has, counted at the nodes. Each that is there during the whole call is counted once. */
  async count(options: CountOptions = {}): Promise<number> {
    checkOptions(options, OPTIONS.count, 'count')
    const asked = checkedRequest(options.deadlineMs ?? this.#deadlineMs, options.signal)
    const keys = await countRange(this.#pages, chosenRange(options), asked)
    return keys
  }

  /**
   * Deletes every key that begins so, as work that goes on without this client; resolves when it is done, with `detach` when it has
   * begun. Done, every key is gone that was there when this was called and that nobody has written since. What is written while it
   * runs may be deleted with the others; what is written when it has ended is not. Cancelled by a person: CANCELLED.
   */
  deletePrefix(prefix: Bytes, options: DeletePrefixOptions = {}): Promise<PrefixDeletion> {
    checkOptions(options, OPTIONS.deletePrefix, 'deletePrefix')
    return this.#deletions.deletePrefix(prefix, options)
  }

  /** Several operations at once, each with a result of its own. */
  batch<Results extends readonly BatchResult[] = []>(): Batch<Results> {
    return new Batch<Results>((operation, options) => this.#execute(operation, options))
  }

  /**
   * What changes, each change once and those of a key in their order, until `break` or a failure. Through changes of leaders and of
   * shards, and with `from` also across the end of this client. COMPACTED: what is asked for is not kept any more; scan, then watch from
   * the error's token.
   */
  watch(target: WatchTarget, options: WatchOptions & { readonly progress: true }): Watch<WatchEvent | WatchProgress>
  watch(target: WatchTarget, options?: WatchOptions): Watch<WatchEvent>
  watch(target: WatchTarget, options: WatchOptions = {}): Watch<WatchEvent> {
    checkOptions(options, OPTIONS.watch, 'watch')
    return this.#watches.watch(target, options) as Watch<WatchEvent>
  }

  /**
   * Takes no new operations, lets those in flight end for at most `drainMs` (default 5,000; what is left then ends with
   * CANCELLED), and leaves no timer and no socket.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    checkOptions(options, OPTIONS.close, 'close')
    const { drainMs = DRAIN_MS } = options
    if (typeof drainMs !== 'number' || !(drainMs >= 0)) {
      throw new TypeError(`drainMs must be a number of ms from 0 on, not ${describe(drainMs)}`)
    }
    this.#closed ??= this.#end(drainMs)
    return this.#closed
  }

  async #end(drainMs: number): Promise<void> {
    await Promise.all(
      [this.lease, this.#watches, this.#deletions].map((one) => one.close()).concat(this.#front.drain(drainMs)),
    )
  }

  #reply(operation: Operation, options: RequestOptions | undefined): Promise<BatchResult> {
    return this.#front.ask(operation, options, replyOf)
  }

  #execute(operation: Operation, options: RequestOptions | undefined): Promise<Result> {
    return this.#front.execute(operation, options)
  }

  /** A deadline that passed with nobody to ask has its reason where the map comes from. */
  #explained(error: KvError): KvError {
    const { trouble } = this.#maps
    if (error.code !== 'DEADLINE_EXCEEDED') return error
    if (error.cause !== undefined || trouble === undefined) return error
    const message = `${error.message}; and there is no newer cluster map: ${trouble.message}`
    return kvError(error.code, message, { ...error, cause: trouble })
  }
}

function engineFor(
  mode: 'auto' | 'direct' | 'gateway',
  endpoints: readonly string[],
  maps: MapWatcher,
  source: MapCell,
  limits: Limits,
): Engine {
  const tools = { limits, clock: systemClock, rng: systemRng }
  if (mode === 'gateway') return new Gateway({ endpoints, maps, ...tools })
  const gateways = { addresses: endpoints, trusts: (address: string) => maps.trusts(address) }
  const store = new Store({ map: source, gateways: mode === 'auto' ? gateways : undefined, ...tools })
  return {
    perform: (operation, deadlineMs, signal, done) => store.perform(operation, deadlineMs, signal, done),
    close: () => {
      maps.close()
      store.close()
    },
  }
}

/** The nodes know their own limit for values; here only what none takes is refused. */
function limitsOf(options: KvClientOptions): Limits {
  const { deadlineMs, inFlightBytesMax, inFlightOperationsMax } = options
  return {
    ...DEFAULT_LIMITS,
    valueBytesMax: VALUE_BYTES_TOP,
    deadlineMs: deadlineMs ?? DEFAULT_LIMITS.deadlineMs,
    inFlightBytesMax: inFlightBytesMax ?? DEFAULT_LIMITS.inFlightBytesMax,
    inFlightOperationsMax: inFlightOperationsMax ?? DEFAULT_LIMITS.inFlightOperationsMax,
  }
}

function checkConnection(options: KvClientOptions): void {
  const like = 'like { endpoints: ["localhost:7000"] }'
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`KvClient.connect takes an object, ${like}, not ${describe(options)}`)
  }
  checkOptions(options, OPTIONS.connect, 'KvClient.connect')
  const { endpoints, mode, signal, ...numbers } = options
  if (!Array.isArray(endpoints)) {
    throw new TypeError(`endpoints must be a list of gateways, ${like}, not ${describe(endpoints)}`)
  }
  if (endpoints.length === 0) throw new TypeError(`endpoints must name at least one gateway, ${like}, and is empty`)
  for (const address of endpoints) checkAddress(address)
  if (mode !== undefined && !MODES.includes(mode)) {
    throw new TypeError(`the mode must be one of ${MODES.join(', ')}, not ${describe(mode)}`)
  }
  checkSignal(signal)
  checkMs(numbers.deadlineMs, 'deadlineMs')
  for (const name of ['inFlightBytesMax', 'inFlightOperationsMax'] as const) {
    const value: unknown = numbers[name]
    if (value === undefined || (typeof value === 'number' && value > 0)) continue
    throw new TypeError(`${name} must be a positive number, not ${describe(value)}`)
  }
}
