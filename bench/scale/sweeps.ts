// What is swept, as data. One thing varies in each sweep; the rest is BASE.
import { DEFAULT_LIMITS } from '../../orchestrator/core/limits.js'

export interface Point {
  readonly shards: number
  readonly replicas: number
  readonly callers: number
  readonly valueBytes: number
  /** Distinct keys, all of which have a value before anything is measured. */
  readonly keys: number
}

export interface Sweep {
  readonly name: string
  readonly axis: string
  /** A rate that goes over decades is not to be read on a linear axis. */
  readonly logarithmic: boolean
  readonly x: (point: Point) => number
  readonly shown: (x: number) => string
  /** The points of one list share a cluster and come one after the other, with keys that only grow. */
  readonly clusters: readonly (readonly Point[])[]
}

const KIB = 1 << 10
const MIB = 1 << 20
export const KEYS_MAX = 2_000_000

const BASE: Point = { shards: 3, replicas: 3, callers: 64, valueBytes: 256, keys: 10_000 }
/** Of the values that are there at once; each replica has them. */
const LIVE_BYTES_MAX = 128 * MIB
/** Half of what a client lets through: beyond that its own gate would be measured. */
const IN_FLIGHT_BYTES_MAX = DEFAULT_LIMITS.inFlightBytesMax / 2

const CALLERS = [1, 4, 16, 64, 256, 1024, 4096]
const VALUE_BYTES = [16, 256, 4 * KIB, 64 * KIB, 256 * KIB, MIB]
const KEYS = [1000, 10_000, 100_000, 500_000, KEYS_MAX]
const SHARDS = [1, 2, 4, 8]
const REPLICAS = [1, 3, 5]

/** All sweeps; `keysMax` leaves out the points that take long to fill. */
export function sweeps(keysMax: number = KEYS_MAX): readonly Sweep[] {
  const keys = KEYS.filter((count) => count <= keysMax)
  return [
    {
      ...plain('callers', 'concurrent callers', ({ callers }) => callers),
      clusters: [CALLERS.map((callers) => ({ ...BASE, callers }))],
    },
    {
      ...plain('values', 'bytes of a value', ({ valueBytes }) => valueBytes),
      logarithmic: true,
      shown: bytesShown,
      clusters: VALUE_BYTES.map((valueBytes) => [ofSize(valueBytes)]),
    },
    {
      ...plain('keys', 'keys in the cluster', (point) => point.keys),
      clusters: [keys.map((count) => ({ ...BASE, keys: count }))],
    },
    {
      ...plain('shards', 'shards, of 3 replicas each', ({ shards }) => shards),
      clusters: SHARDS.map((shards) => [{ ...BASE, shards }]),
    },
    {
      ...plain('replicas', 'replicas of each of 3 shards', ({ replicas }) => replicas),
      clusters: REPLICAS.map((replicas) => [{ ...BASE, replicas }]),
    },
  ]
}

function plain(name: string, axis: string, x: (point: Point) => number): Omit<Sweep, 'clusters'> {
  return { name, axis, x, logarithmic: false, shown: (value) => value.toLocaleString('en') }
}

function ofSize(valueBytes: number): Point {
  const keys = Math.min(BASE.keys, Math.floor(LIVE_BYTES_MAX / valueBytes))
  const callers = Math.min(BASE.callers, Math.floor(IN_FLIGHT_BYTES_MAX / valueBytes))
  return { ...BASE, valueBytes, keys, callers }
}

/** How many may fill a cluster with values of this size at once. */
export function fillersOf({ valueBytes }: Point): number {
  return Math.min(1024, Math.floor(IN_FLIGHT_BYTES_MAX / valueBytes))
}

export function bytesShown(bytes: number): string {
  if (bytes >= MIB) return `${bytes / MIB} MiB`
  return bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`
}
