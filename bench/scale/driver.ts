// The client whose growth is measured, in a process of its own, so that its CPU is its own. It does one job after the
// other until nobody listens any more.
import { KvClient, KvError } from '../../orchestrator/index.js'
import { closedLoop } from '../load/closed-loop.js'
import type { FillJob, Job, LoadDone, LoadJob } from './protocol.js'

/** Past the usual one: an operation that takes long is to be seen in p99, and not as an error. */
const DEADLINE_MS = 30_000

let client: KvClient | undefined

async function work(job: Job): Promise<LoadDone | 'done'> {
  if (job.kind === 'connect') {
    client = await KvClient.connect({ endpoints: [job.address], mode: 'direct', deadlineMs: DEADLINE_MS })
    return 'done'
  }
  if (client === undefined) throw new TypeError('not connected')
  return job.kind === 'fill' ? fill(client, job) : load(client, job)
}

const keyOf = (number: number): string => `scale-${number}`

async function fill(kv: KvClient, { from, to, valueBytes, callers }: FillJob): Promise<'done'> {
  const value = Buffer.alloc(valueBytes, 'v')
  let next = from
  const filler = async (): Promise<void> => {
    while (next < to) await kv.put(keyOf(next++), value)
  }
  await Promise.all(Array.from({ length: callers }, filler))
  return 'done'
}

async function load(kv: KvClient, { verb, callers, seconds, keys, valueBytes }: LoadJob): Promise<LoadDone> {
  const value = Buffer.alloc(valueBytes, 'v')
  const anyKey = (): string => keyOf(Math.floor(Math.random() * keys))
  const operation = {
    put: () => kv.put(anyKey(), value),
    get: async () => {
      const hit = await kv.get(anyKey())
      if (hit?.value.length !== valueBytes) throw new Error(`a value of ${hit?.value.length} bytes, not ${valueBytes}`)
    },
  }[verb]
  let errors = 0
  let firstError = ''
  const counted = async (): Promise<void> => {
    try {
      await operation()
    } catch (error) {
      // A wrong value is no figure of any kind: it ends the benchmark.
      if (!(error instanceof KvError)) throw error
      errors++
      firstError ||= `${error.code}: ${error.message}`
    }
  }
  const before = process.cpuUsage()
  const { perSecond, latency } = await closedLoop(callers, seconds, counted)
  const { user, system } = process.cpuUsage(before)
  return {
    operations: latency.count,
    perSecond: perSecond * (1 - errors / latency.count),
    p50Ms: latency.percentile(50),
    p99Ms: latency.percentile(99),
    maxMs: latency.maxMs,
    cpuUs: user + system,
    errors,
    firstError,
  }
}

/** Ends the process when a job fails: its parent hears of that, and the reason is on stderr. */
async function answer(job: Job): Promise<void> {
  try {
    process.send?.(await work(job))
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}

// Ctrl-C at a keyboard reaches this process as well; the parent decides what then happens.
process.on('SIGINT', () => undefined)
// However the parent ends, nobody measures for nobody.
process.once('disconnect', () => process.exit())
process.on('message', (job: Job) => void answer(job))
