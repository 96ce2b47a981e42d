// What the benchmark and its driver process say to each other.
import type { Case } from './cases.js'
import type { ClientName } from './clients/open.js'

export interface Job {
  readonly client: ClientName
  /** host:port of the servers. */
  readonly addresses: readonly string[]
  /** The servers' processes, whose CPU time is read. */
  readonly pids: readonly number[]
  readonly cases: readonly Case[]
  readonly seconds: number
  readonly seed: number
}

/** One case of one contender, measured once. */
export interface Figures {
  readonly operationsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly clientCpuUs: number
  readonly serversCpuUs: number
  readonly operations: number
  /** Operations that failed. They count in no rate. */
  readonly errors: number
}

export type Said =
  | { readonly kind: 'measured'; readonly name: string; readonly figures: Figures }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'done' }
