// What chaos does in a round, around one operation on a cluster that a test has started itself: clients of every kind work on
// a few keys while it goes on, and every answer is checked. Unlike in chaos no call is hasty: none may fail.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClusterMap } from '../../orchestrator/core/topology.js'
import { Random } from '../chaos/faults/random.js'
import { type HistoryLine, writeHistory } from '../chaos/model/format.js'
import { Clients } from '../chaos/run/clients.js'
import { HISTORY, judge } from '../chaos/run/judge.js'
import type { Counts, Violation } from '../chaos/run/result.js'
import { KeyWatchers } from '../chaos/traffic/key-watchers.js'
import { LeaseHolders } from '../chaos/traffic/lease-holders.js'
import { NodeReaders } from '../chaos/traffic/node-readers.js'
import { Recorder } from '../chaos/traffic/recorder.js'
import { Traffic } from '../chaos/traffic/traffic.js'
import type { Cluster } from '../harness/cluster.js'

export interface RecordedOptions {
  readonly seed: number
  /** Keys in use at once, as many times the few of chaos: so that some are where something moves. Default 8. */
  readonly width?: number
  /** Gateways that clients know, the one first that they ask first; the compat client asks the last. Default: the cluster's. */
  readonly endpoints?: readonly string[]
  /** The shards use the first format of commands. */
  readonly firstFormat?: boolean
  /** Of one key's search for an order. */
  readonly perKeyMs?: number
}

export interface Recorded<T> {
  /** What the operation gave. */
  readonly value: T
  /** What must never be. */
  readonly violations: readonly Violation[]
  /** Calls that ended in anything but success; a condition that did not hold is none of them. */
  readonly failures: readonly string[]
  readonly counts: Counts
  /** The longest time in which a shard of the map at the beginning took no put, by the leaders and by the gateway, ms. */
  readonly gapMs: { readonly direct: number; readonly gateway: number }
  /** Holds the history, and pictures of what is wrong; removed when nothing is. */
  readonly folder: string
}

/** Calls before the operation begins, and after it has ended: the clients are connected, and see what has become of it. */
const CALLS_AROUND = 100
const PER_KEY_MS = 20_000
/** So long that a busy machine is no failure; how long it took is told by the gaps. The compat client has 10 s of its own. */
const PATIENT_MS = 30_000
/** Leaders change and partitions are frozen for moments only: then no key is there for longer after its time. */
const LATE_MS = 5_000

/** Lets clients work for as long as the operation takes, and judges what they were told. Rejects when the operation does. */
export async function recorded<T>(
  cluster: Pick<Cluster, 'address' | 'map'>,
  operation: () => Promise<T>,
  { seed, width = 8, endpoints = [cluster.address], perKeyMs = PER_KEY_MS, firstFormat = false }: RecordedOptions,
): Promise<Recorded<T>> {
  const map = await cluster.map()
  const calls = new Calls()
  const clients = await Clients.open(endpoints, map, calls.watch)
  const recorder = new Recorder(calls.watch)
  const watchers = await KeyWatchers.open(endpoints, prefixOf(seed))
  const holders = await LeaseHolders.open(endpoints, prefixOf(seed))
  const load = startLoad(map, clients, recorder, { seed, width, firstFormat })
  try {
    await calls.more(CALLS_AROUND)
    const begin = performance.now()
    const value = await operation()
    const end = performance.now()
    await calls.more(CALLS_AROUND)
    await load.stop()
    const gaps = (way: 'direct' | 'gateway') => map.shards.map(({ id }) => clients.longestGapMs(way, id, begin, end))
    const gapMs = { direct: Math.max(...gaps('direct')), gateway: Math.max(...gaps('gateway')) }
    const unwatched = (await watchers.faults(recorder.lines, { mayCompact: false })).map(
      (what): Violation => ({ kind: 'not watched', what }),
    )
    const unleased = (await holders.faults()).map((what): Violation => ({ kind: 'not as its lease', what }))
    // Else nothing was tested.
    if (!firstFormat && holders.reads === 0) throw new Error('no key of a lease was read')
    const unread = await readAll(load.traffic, clients)
    const header = {
      seed,
      round: 1,
      shards: map.shards.length,
      replicas: map.shards[0]?.nodes.length ?? 0,
      versions: {},
    }
    const folder = mkdtempSync(join(tmpdir(), 'kvorum-recorded-'))
    await writeHistory(join(folder, HISTORY), header, recorder.lines)
    const signal = new AbortController().signal
    const { keys } = load.traffic
    const { violations, counts } = await judge({
      lines: recorder.lines,
      keys,
      folder,
      perKeyMs,
      lateMs: LATE_MS,
      signal,
    })
    const all = [...unread, ...unwatched, ...unleased, ...violations]
    const failures = failuresOf(recorder.lines)
    if (all.length + failures.length + counts.undecided === 0) rmSync(folder, { recursive: true })
    return { value, violations: all, failures, counts, gapMs, folder }
  } finally {
    await Promise.all([clients.close(), load.stop(), watchers.close(), holders.close()])
  }
}

/** In words. Each of these calls had patience for whatever the operation does. */
export function failuresOf(lines: readonly HistoryLine[]): string[] {
  return lines
    .filter(({ outcome }) => outcome !== 'ok' && outcome !== 'precondition')
    .map(({ id, client, op, key, code, outcome }) => `${op} ${id} of ${key} by ${client}: ${code} (${outcome})`)
}

/** Counts calls that end. */
class Calls {
  #left = 0
  #enough = (): void => {}

  readonly watch = (): void => {
    if (--this.#left === 0) this.#enough()
  }

  /** Resolves when so many more have ended. */
  more(count: number): Promise<void> {
    this.#left = count
    return new Promise((resolve) => {
      this.#enough = resolve
    })
  }
}

const prefixOf = (seed: number): string => `recorded-${seed}`

interface Load {
  readonly traffic: Traffic
  stop(): Promise<void>
}

function startLoad(
  map: ClusterMap,
  clients: Clients,
  recorder: Recorder,
  { seed, width, firstFormat }: { seed: number; width: number; firstFormat: boolean },
): Load {
  const random = new Random(seed)
  const traffic = new Traffic({
    map,
    recorder,
    random: random.fork(),
    ways: clients.workers,
    prefix: prefixOf(seed),
    width,
    hastyShare: 0,
    patientMs: PATIENT_MS,
    firstFormat,
  })
  // Nodes are asked for the keys that were theirs at the beginning: who has given one away must not answer.
  const readers = new NodeReaders({
    recorder,
    random: random.fork(),
    shards: map.shards.map(({ id }) => id),
    nodes: (shard) => map.shards.find(({ id }) => id === shard)?.nodes ?? [],
    keys: (shard) => traffic.hotKeys(shard),
  })
  return {
    traffic,
    stop: async () => {
      await Promise.all([traffic.stop(), readers.stop()])
    },
  }
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
