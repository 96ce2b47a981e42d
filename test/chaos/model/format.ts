// The history of a round, as JSON lines: a header, then one line for each call that has ended or was given up, and one for
// each fault. test/chaos/check reads the same; whoever changes it counts VERSION up in both.
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const FORMAT = 'kvorum-history'
const VERSION = 4

export interface HistoryHeader {
  readonly seed: number
  readonly round: number
  readonly shards: number
  readonly replicas: number
  /** Of Kvorum and of Node.js. */
  readonly versions: Readonly<Record<string, string>>
}

/** What became of a call, as its caller was told. */
export type Outcome =
  | 'ok'
  /** It has not happened and will not. */
  | 'not-applied'
  /** It has happened; what it answered was lost. */
  | 'applied'
  /** Nobody knows whether it has happened, or will. */
  | 'unknown'
  /** Refused, because the key has another version. */
  | 'precondition'

export type Op =
  | 'get'
  | 'put'
  | 'delete'
  | 'append'
  | 'compare-and-set'
  | 'increment'
  | 'touch'
  | 'transfer'
  | 'balances'

/** Times are monotonic, whole microseconds of one clock. What a client is not told is left out. */
export interface HistoryLine {
  readonly id: number
  /** Which client, and by which way it went. */
  readonly client: string
  readonly key: string
  readonly op: Op
  /** Of what writes a value: unlike any other of the run, and it ends with END. */
  readonly value?: string
  readonly ifVersion?: number
  /** Of a compare-and-set, null: absent; of a transfer the balance that the giving account is to have. */
  readonly expected?: string | null
  /** How long a put or touch has the key live, ms; left out: for ever. */
  readonly ttlMs?: number
  /** What an increment adds, and what a transfer moves from one account of the group to another. */
  readonly by?: number
  readonly from?: number
  readonly to?: number
  /** Of a get with a bound of staleness: what it found must have been current at some moment from so long before its call on. */
  readonly staleMs?: number
  readonly call: number
  /** null for unknown outcomes: the end of time. */
  readonly return: number | null
  readonly outcome: Outcome
  /** Of a failure, for people. */
  readonly code?: string
  /** What a get found; null: nothing. */
  readonly got?: string | null
  readonly version?: number
  readonly length?: number
  readonly existed?: boolean
  /** Of an increment. */
  readonly sum?: number
  /** Of a transfer: whether its condition held; and all balances after it, null for an account that is not there. */
  readonly succeeded?: boolean
  readonly balances?: readonly (number | null)[]
  /** What a put or delete replaced, where it was asked for: `returned` says so. null: nothing. */
  readonly returned?: true
  readonly previous?: string | null
}

export interface FaultLine {
  readonly fault: string
  readonly call: number
  readonly return: number
}

/** Ends every value that is put or appended, so that a value can be taken apart again. */
export const END = ';'

/** The values that make up one that was read. What follows the last END is no whole value. */
export function partsOf(value: string): string[] {
  return value
    .split(END)
    .slice(0, -1)
    .map((part) => part + END)
}

export async function writeHistory(
  path: string,
  header: HistoryHeader,
  lines: Iterable<HistoryLine | FaultLine>,
): Promise<void> {
  await pipeline(Readable.from(texts({ format: FORMAT, version: VERSION, ...header }, lines)), createWriteStream(path))
}

function* texts(header: object, lines: Iterable<object>): Generator<string> {
  yield `${JSON.stringify(header)}\n`
  for (const line of lines) yield `${JSON.stringify(line)}\n`
}
