import type { KvClient } from '../client/index.js'
import { type Clock, systemClock } from '../core/clock.js'
import { type Rng, systemRng } from '../core/rng.js'
import { KvError } from '../errors/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { interruptibly } from './interrupt.js'
import { textTable } from './text-table.js'
import { withNearKv } from './with-kv.js'

export interface BenchTask {
  /** Callers, each of which waits for its answer before it asks again. */
  readonly clients: number
  readonly seconds: number
  readonly valueBytes: number
  /** How many of a hundred operations are gets; the others are puts. */
  readonly gets: number
  readonly keys: number
}

/** Of all operations of one kind. */
export interface Figures {
  readonly done: number
  readonly perSecond: number
  /** Ms from the call to the answer, of what succeeded; null: nothing did. */
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
  readonly max: number | null
}

export interface BenchReport {
  readonly seconds: number
  readonly get: Figures
  readonly put: Figures
  /** How many failed, by code. */
  readonly failed: Readonly<Record<string, number>>
}

interface Tools {
  readonly clock: Clock
  readonly rng: Rng
}

/** What is put and deleted in one go. */
const ROUND = 256

/**
 * Puts a load on the cluster for a while and says what it took: every put is durable and every get linearizable, as always. It has
 * keys of its own, which it removes. Whoever measures in earnest uses more than this one process: bench/README.md of the project.
 */
export function bench(
  task: BenchTask,
  { json }: Form,
  connection: Connection,
  context: Context,
  tools: Tools = { clock: systemClock, rng: systemRng },
): Promise<number> {
  const prefix = `kvorum-bench:${tools.rng.id().slice(0, 8)}:`
  const keys = Array.from({ length: task.keys }, (_, at) => `${prefix}${at}`)
  // Ctrl-C ends the load, and the keys go.
  return interruptibly(context, (over) =>
    withNearKv(connection, async (kv) => {
      const value = Buffer.alloc(task.valueBytes, 'v')
      try {
        await forAll(keys, (key) => kv.put(key, value), over)
        const report = await load(kv, keys, value, task, tools, over)
        context.out(json ? `${JSON.stringify(report)}\n` : textOf(report, task))
        return Object.keys(report.failed).length === 0 ? EXIT.ok : EXIT.failed
      } finally {
        await forAll(keys, (key) => kv.delete(key)).catch((error: Error) => {
          context.warn(`kvorum: keys that begin with ${prefix} are left: ${error.message}\n`)
        })
      }
    }),
  )
}

/** The rest is left when it is `over`. When it rejects nothing is on its way any more: a put must not come behind its key's delete. */
async function forAll(
  keys: readonly string[],
  act: (key: string) => Promise<unknown>,
  over?: AbortSignal,
): Promise<void> {
  for (let at = 0; at < keys.length && over?.aborted !== true; at += ROUND) {
    const settled = await Promise.allSettled(keys.slice(at, at + ROUND).map(act))
    for (const one of settled) if (one.status === 'rejected') throw one.reason
  }
}

async function load(
  kv: KvClient,
  keys: readonly string[],
  value: Uint8Array,
  { clients, seconds, gets }: BenchTask,
  { clock, rng }: Tools,
  over: AbortSignal,
): Promise<BenchReport> {
  const took = { get: [] as number[], put: [] as number[] }
  const failed: Record<string, number> = {}
  const began = clock.monotonic()
  const until = began + seconds * 1_000
  const client = async () => {
    for (let start = began; start < until && !over.aborted; start = clock.monotonic()) {
      const key = keys[Math.floor(rng.float() * keys.length)] as string
      const kind = rng.float() * 100 < gets ? 'get' : 'put'
      try {
        await (kind === 'get' ? kv.get(key) : kv.put(key, value))
        took[kind].push(clock.monotonic() - start)
      } catch (error) {
        if (!(error instanceof KvError)) throw error
        failed[error.code] = (failed[error.code] ?? 0) + 1
      }
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  const spent = (clock.monotonic() - began) / 1_000
  return { seconds: spent, get: figuresOf(took.get, spent), put: figuresOf(took.put, spent), failed }
}

/** Of how long each took, ms. */
export function figuresOf(took: readonly number[], seconds: number): Figures {
  const sorted = Float64Array.from(took).sort()
  // The value that so many percent do not exceed.
  const at = (percent: number) => {
    const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
    return value === undefined ? null : Math.round(value * 1_000) / 1_000
  }
  return {
    done: took.length,
    perSecond: Math.round(took.length / seconds),
    p50: at(50),
    p95: at(95),
    p99: at(99),
    max: at(100),
  }
}

function textOf({ seconds, get, put, failed }: BenchReport, { clients, valueBytes, keys }: BenchTask): string {
  const head = ['', 'done', 'per second', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms']
  const shown = (ms: number | null) => ms?.toFixed(2) ?? ''
  const rows = Object.entries({ get, put }).map(([name, { done, perSecond, p50, p95, p99, max }]) => {
    return [name, done, perSecond, shown(p50), shown(p95), shown(p99), shown(max)]
  })
  const failures = Object.entries(failed).map(([code, count]) => `; failed ${count} times: ${code}`)
  const what = `${clients} clients in one process, ${valueBytes}-byte values, ${keys} keys, ${seconds.toFixed(1)} s`
  return `${textTable(head, [rows])}\n${what}${failures.join('')}\n`
}
