// Clients of every kind on few hot keys, all the time. What each does is drawn from a seed; when it happens is not.
import { setTimeout as pause } from 'node:timers/promises'
import type { ClusterMap } from '../../../orchestrator/core/topology.js'
import { keysOn } from '../../harness/keys.js'
import type { Random } from '../faults/random.js'
import { ACCOUNTS } from '../model/balances.js'
import type { HistoryLine, Op } from '../model/format.js'
import { type HotKey, Slot, type Use } from './hot-keys.js'
import type { Asked, Recorder, Told } from './recorder.js'
import { accountOf, type Transfer, type Way } from './ways.js'

const PATIENT_MS = 5_000
/** So short that some calls end while they are on their way. */
const HASTY_MS_MAX = 30
const HASTY_SHARE = 1 / 24
/** Between two calls of one worker: always busy, and yet time left over for the nodes on a small machine. */
const REST_MS = { min: 2, max: 8 }
/** After a failure, so that who is refused at once does not spin. */
const REST_FAILED_MS = 20
const LAST_READ_MS = 10_000
/** Reads at once at the end. */
const LAST_READERS = 8
const REGISTERS_PER_SHARD = 2
const OPS: Readonly<Record<Use, readonly (readonly [Op, number])[]>> = {
  register: [
    ['get', 0.44],
    ['put', 0.3],
    ['append', 0.08],
    ['delete', 0.08],
    ['compare-and-set', 0.1],
  ],
  append: [
    ['get', 0.45],
    ['append', 0.55],
  ],
  number: [
    ['get', 0.35],
    ['increment', 0.6],
    ['delete', 0.05],
  ],
  mortal: [
    ['get', 0.55],
    ['put', 0.2],
    ['touch', 0.1],
    ['append', 0.05],
    ['compare-and-set', 0.05],
    ['delete', 0.05],
  ],
  bank: [
    ['balances', 0.35],
    ['transfer', 0.65],
  ],
}
const CONDITIONAL_SHARE = 0.25
const RETURNING_SHARE = 0.25
/** Short, so that keys end between two calls, and long, so that one that is gone before its time is seen. */
const TTL_MS = { min: 20, max: 1_500 }
/** Of the puts and touches of keys that live for a time: those after which they do not. */
const FOREVER_SHARE = 0.15
/** Transfers that are to take place only if the account that gives has the balance that somebody was told last. */
const EXPECTING_SHARE = 0.5
/** Of the values and balances that are asked for: those that a key has never had. */
const WRONG_SHARE = 0.3
/** Sums that differ say which increments are in them, and which of them twice. */
const INCREMENT_MAX = 1_000_000

export interface TrafficOptions {
  readonly map: ClusterMap
  readonly recorder: Recorder
  readonly random: Random
  /** One worker for each; a way may be there several times. */
  readonly ways: readonly Way[]
  /** Begins the names of the keys: another one for each round. */
  readonly prefix: string
  /** Keys in use at once, as many times the usual few. Default 1. */
  readonly width?: number
  /** The share of calls that have so little time that some end in doubt. Default 1/24. */
  readonly hastyShare?: number
  /** How long all other calls may take. Default 5,000. */
  readonly patientMs?: number
  /** The shards use the first format of commands: what it lacks is left out. */
  readonly firstFormat?: boolean
}

/** A key of which the last value could not be read. */
export interface Unread {
  readonly key: string
  readonly why: string
}

export class Traffic {
  readonly #recorder: Recorder
  readonly #slots: readonly Slot[]
  /** Those of single keys. */
  readonly #single: readonly Slot[]
  /** One for each shard, for whoever writes to single nodes. */
  readonly #apart: readonly Slot[]
  readonly #workers: readonly Promise<void>[]
  readonly #hastyShare: number
  readonly #patientMs: number
  readonly #firstFormat: boolean
  #stopped = false

  constructor(options: TrafficOptions) {
    const { map, recorder, random, ways, prefix, width = 1 } = options
    this.#recorder = recorder
    this.#hastyShare = options.hastyShare ?? HASTY_SHARE
    this.#patientMs = options.patientMs ?? PATIENT_MS
    this.#firstFormat = options.firstFormat ?? false
    this.#slots = map.shards.flatMap(({ id }) => {
      const next = keysOn(map, id, `${prefix}-s${id}`)
      const slots = (use: Use, length: number) => Array.from({ length }, () => new Slot(id, use, next))
      const banks = this.#firstFormat ? [] : slots('bank', Math.ceil(width / 2))
      return [
        ...slots('register', width * REGISTERS_PER_SHARD),
        ...slots('append', width),
        ...slots('number', width),
        ...slots('mortal', width),
        ...banks,
      ]
    })
    this.#single = this.#slots.filter(({ use }) => use !== 'bank')
    this.#apart = map.shards.map(({ id }) => new Slot(id, 'register', keysOn(map, id, `${prefix}-apart-s${id}`)))
    this.#workers = ways.map((way, at) => this.#work(way, `${way.name}#${at}`, random.fork()))
  }

  /** Keys that are in use now, for whoever wants to read beside; not those that may be gone by themselves. */
  hotKeys(shard: number): readonly string[] {
    const isPlain = ({ use }: Slot) => use !== 'mortal' && use !== 'bank'
    const busy = this.#slots.filter((slot) => slot.shard === shard && isPlain(slot)).map(({ key }) => key.name)
    // As often as all the others: what happened to it is seen most clearly.
    return [...busy, ...busy.map(() => this.keyApart(shard).name)]
  }

  /** The key of a shard that no worker writes. */
  keyApart(shard: number): HotKey {
    const slot = this.#apart.find((one) => one.shard === shard)
    if (slot === undefined) throw new TypeError(`no shard ${shard}`)
    return slot.key
  }

  get keys(): readonly HotKey[] {
    return this.#all.flatMap(({ keys }) => keys)
  }

  get #all(): readonly Slot[] {
    return [...this.#slots, ...this.#apart]
  }

  /** Lets every call in flight end. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#workers)
  }

  /** Reads every key by this way; the cluster must be well again. Gives what could not be read. */
  async readAll(way: Way): Promise<Unread[]> {
    const unread: Unread[] = []
    await atOnce(LAST_READERS, this.keys, async ({ name: key, use }) => {
      const { transact } = way
      // A way without transactions cannot see a group of accounts at one moment.
      if (use === 'bank' && transact === undefined) return
      const asked: Asked = { client: `last-${way.name}`, key, op: use === 'bank' ? 'balances' : 'get' }
      const { outcome, code } = await this.#recorder.record(asked, () => perform(way, asked, false, LAST_READ_MS))
      if (outcome !== 'ok') unread.push({ key, why: code ?? outcome })
    })
    return unread
  }

  /** Deletes every key, so that a run of hours does not fill the disk. */
  async clear(way: Way): Promise<void> {
    const names = this.keys.flatMap(({ name, use }) =>
      use === 'bank' ? Array.from({ length: ACCOUNTS }, (_, account) => accountOf(name, account)) : [name],
    )
    await atOnce(LAST_READERS, names, async (name) => {
      await way.delete(name, LAST_READ_MS).catch(() => undefined)
    })
  }

  async #work(way: Way, client: string, random: Random): Promise<void> {
    while (!this.#stopped) {
      const { key } = random.pick(way.transact === undefined ? this.#single : this.#slots)
      const line = await this.#call(way, client, key, random)
      const rest = random.between(REST_MS.min, REST_MS.max)
      await pause(line.outcome === 'ok' || line.outcome === 'precondition' ? rest : rest + REST_FAILED_MS)
    }
  }

  async #call(way: Way, client: string, key: HotKey, random: Random): Promise<HistoryLine> {
    const op = this.#opFor(way, key, random)
    const deadlineMs = random.chance(this.#hastyShare) ? random.between(1, HASTY_MS_MAX) : this.#patientMs
    const write = op !== 'get' && op !== 'balances'
    const asked: Asked = { client, key: key.name, op, ...this.#argumentsOf(way, key, op, random) }
    const returning = !this.#firstFormat && way.versions && random.chance(RETURNING_SHARE)
    key.began(write)
    const line = await this.#recorder.record(asked, () => perform(way, asked, returning, deadlineMs))
    key.ended(write, line.outcome === 'unknown')
    if (line.version !== undefined) key.version = line.version
    if (line.balances !== undefined) key.balances = line.balances
    if (line.got !== undefined) key.value = line.got
    else if (line.outcome === 'ok' && (op === 'put' || op === 'compare-and-set')) key.value = line.value ?? null
    return line
  }

  #argumentsOf(way: Way, key: HotKey, op: Op, random: Random): Partial<Asked> {
    if (op === 'get' || op === 'balances') return {}
    if (op === 'transfer') return transferOn(key, random)
    if (op === 'increment') return { by: random.between(-INCREMENT_MAX, INCREMENT_MAX) }
    if (op === 'append') return { value: this.#recorder.freshValue() }
    const life =
      key.use === 'mortal' && !random.chance(FOREVER_SHARE) ? { ttlMs: random.between(TTL_MS.min, TTL_MS.max) } : {}
    if (op === 'touch') return life
    if (op === 'compare-and-set') {
      // Now and then one that it has never had.
      const expected = random.chance(WRONG_SHARE) ? this.#recorder.freshValue() : key.value
      return { expected, value: this.#recorder.freshValue() }
    }
    const conditional = way.versions && random.chance(CONDITIONAL_SHARE) && key.version !== undefined
    const condition = conditional && key.version !== undefined ? { ifVersion: key.version } : {}
    return op === 'delete' ? condition : { value: this.#recorder.freshValue(), ...condition, ...life }
  }

  /** What the way, or the cluster, does not know is read instead. */
  #opFor(way: Way, key: HotKey, random: Random): Op {
    const op = random.share(OPS[key.use])
    const lacks =
      (key.use === 'mortal' && op !== 'get' && (way.touch === undefined || this.#firstFormat)) ||
      (op === 'append' && way.append === undefined) ||
      (op === 'compare-and-set' && (way.compareAndSet === undefined || this.#firstFormat)) ||
      (op === 'increment' && (way.increment === undefined || this.#firstFormat))
    if (key.use === 'bank') return key.takesWrites ? op : 'balances'
    return lacks || !key.takesWrites ? 'get' : op
  }
}

function perform(way: Way, asked: Asked, returning: boolean, deadlineMs: number): Promise<Told> {
  const { key, op, value = '', ifVersion, expected = null, by = 0, ttlMs } = asked
  const condition = {
    ...(ifVersion !== undefined && { ifVersion }),
    ...(returning && { returnPrevious: true as const }),
    ...(ttlMs !== undefined && { ttlMs }),
  }
  const unknown = () => new TypeError(`${way.name} knows no ${op}`)
  switch (op) {
    case 'get':
      return way.get(key, deadlineMs)
    case 'balances':
    case 'transfer':
      if (way.transact === undefined) throw unknown()
      return way.transact(key, op === 'balances' ? undefined : transferIn(asked), deadlineMs)
    case 'delete':
      return way.delete(key, deadlineMs, condition)
    case 'put':
      return way.put(key, value, deadlineMs, condition)
    case 'append':
      if (way.append === undefined) throw unknown()
      return way.append(key, value, deadlineMs)
    case 'touch':
      if (way.touch === undefined) throw unknown()
      return way.touch(key, ttlMs, deadlineMs)
    case 'compare-and-set':
      if (way.compareAndSet === undefined) throw unknown()
      return way.compareAndSet(key, expected, value, deadlineMs)
    case 'increment':
      if (way.increment === undefined) throw unknown()
      return way.increment(key, by, deadlineMs)
  }
}

function transferOn(key: HotKey, random: Random): Partial<Asked> {
  const from = random.between(0, ACCOUNTS - 1)
  const to = (from + random.between(1, ACCOUNTS - 1)) % ACCOUNTS
  const known = key.balances[from]
  const by = random.between(1, INCREMENT_MAX)
  if (typeof known !== 'number' || !random.chance(EXPECTING_SHARE)) return { from, to, by }
  const expected = known + (random.chance(WRONG_SHARE) ? by : 0)
  return { from, to, by, expected: String(expected) }
}

function transferIn({ from = 0, to = 0, by = 0, expected }: Asked): Transfer {
  return { from, to, by, expected: expected ?? undefined }
}

/** Does the work for each, so many at a time. */
async function atOnce<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: limit }, worker))
}
