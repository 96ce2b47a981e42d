// The callers of a cluster whose shards change, in a process of their own: they put and get in equal parts from when they
// are told what until they are told to end, each one after the other or all at a rate.
import { once } from 'node:events'
import { KvClient, KvError } from '../../orchestrator/index.js'
import { Latency } from '../load/latency.js'
import { OpenLoop } from '../load/open-loop.js'
import type { Ended, Interval, Load } from './protocol.js'

/** Past the usual one: what waits long is to be seen as latency. */
const DEADLINE_MS = 30_000

/** Ms since 1970, never going back. */
const now = (): number => performance.timeOrigin + performance.now()

class Timeline {
  readonly intervals: Interval[] = []
  #from = now()
  #latency = new Latency()
  #errors = 0

  constructor(private readonly everyMs: number) {}

  record(ms: number): void {
    this.#turn()
    this.#latency.recordMs(ms)
  }

  fail(): void {
    this.#turn()
    this.#errors++
  }

  /** Intervals in which nothing ended are there as well. */
  #turn(): void {
    while (now() >= this.#from + this.everyMs) {
      const [latency, errors] = [this.#latency, this.#errors]
      const told = { p50Ms: latency.percentile(50), p99Ms: latency.percentile(99), maxMs: latency.maxMs }
      this.intervals.push({ from: this.#from, operations: latency.count, errors, ...told })
      this.#from += this.everyMs
      this.#latency = new Latency()
      this.#errors = 0
    }
  }
}

async function drive({ address, callers, rate, keys, valueBytes, everyMs }: Load, over: AbortSignal): Promise<Ended> {
  const kv = await KvClient.connect({ endpoints: [address], mode: 'direct', deadlineMs: DEADLINE_MS })
  try {
    const value = Buffer.alloc(valueBytes, 'v')
    for (let first = 0; first < keys; first += FILLED_AT_ONCE) {
      const batch = Array.from({ length: Math.min(FILLED_AT_ONCE, keys - first) }, (_, at) => first + at)
      await Promise.all(batch.map((number) => kv.put(keyOf(number), value)))
    }
    process.send?.('running')
    const timeline = new Timeline(everyMs)
    let firstError = ''
    const operate = async (began: number): Promise<void> => {
      const key = keyOf(Math.floor(Math.random() * keys))
      try {
        await (Math.random() < 0.5 ? kv.put(key, value) : kv.get(key))
        timeline.record(performance.now() - began)
      } catch (error) {
        if (!(error instanceof KvError)) throw error
        timeline.fail()
        firstError ||= `${error.code}: ${error.message}`
      }
    }
    await (rate === undefined ? untilOver(callers, operate, over) : atRate(rate, operate, over))
    return { intervals: timeline.intervals, firstError }
  } finally {
    await kv.close()
  }
}

/** From when its time counts, by `performance.now()`. */
type Operate = (began: number) => Promise<void>

async function untilOver(callers: number, operate: Operate, over: AbortSignal): Promise<void> {
  const caller = async (): Promise<void> => {
    while (!over.aborted) await operate(performance.now())
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

async function atRate(perSecond: number, operate: Operate, over: AbortSignal): Promise<void> {
  const loop = new OpenLoop(perSecond, (_, dueAt) => operate(dueAt))
  if (!over.aborted) await once(over, 'abort')
  await loop.stop()
}

const FILLED_AT_ONCE = 512

const keyOf = (number: number): string => `reshard-${number}`

// Ctrl-C at a keyboard reaches this process as well; the parent decides what then happens.
process.on('SIGINT', () => undefined)
// However the parent ends, nobody measures for nobody.
process.once('disconnect', () => process.exit())

const [load] = (await once(process, 'message')) as [Load]
const over = new AbortController()
process.once('message', () => over.abort())
process.send?.(await drive(load, over.signal), () => process.exit())
