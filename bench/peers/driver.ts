// One contender's client in a process of its own: its compiled code, its garbage and its CPU time are nobody else's.
import { once } from 'node:events'
import { closedLoop } from '../load/closed-loop.js'
import { cpuMeter } from '../load/resources.js'
import { type Case, KEYS } from './cases.js'
import { openClient, type PeerClient } from './clients/open.js'
import { keysOf, numbersBelow } from './keys.js'
import type { Figures, Job, Said } from './protocol.js'

const WARM_SECONDS = 1.5
const PRELOAD_CALLERS = 256
/** More failures than this make a rate worthless. */
const FAILED_SHARE_MAX = 0.01

function say(said: Said): void {
  process.send?.(said)
}

async function main(): Promise<void> {
  const [job] = (await once(process, 'message')) as [Job]
  try {
    const client = await openClient(job.client, job.addresses)
    try {
      for (const prefix of new Set(job.cases.map((one) => one.prefix))) await preload(client, prefix, job)
      for (const one of job.cases) say({ kind: 'measured', name: one.name, figures: await measure(client, one, job) })
      say({ kind: 'done' })
    } finally {
      await client.close()
    }
  } catch (error) {
    say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  } finally {
    process.disconnect()
  }
}

/** Every key has a value before anything is measured. */
async function preload(client: PeerClient, prefix: string, { cases }: Job): Promise<void> {
  const value = Buffer.alloc(cases.find((one) => one.prefix === prefix)?.bytes ?? 0, 'v')
  const left = keysOf(prefix, KEYS)
  const fill = async (): Promise<void> => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) await client.put(key, value)
  }
  await Promise.all(Array.from({ length: PRELOAD_CALLERS }, fill))
}

interface Failures {
  count: number
  first: string
}

async function measure(client: PeerClient, one: Case, { seconds, seed, pids }: Job): Promise<Figures> {
  const failures: Failures = { count: 0, first: '' }
  const operation = counting(operationOf(client, one, seed), failures)
  await closedLoop(one.callers, WARM_SECONDS, operation)
  failures.count = 0
  const spent = cpuMeter(pids)
  const own = process.cpuUsage()
  const { perSecond, latency } = await closedLoop(one.callers, seconds, operation)
  const { user, system } = process.cpuUsage(own)
  const done = latency.count - failures.count
  const serversCpuUs = spent(done)
  if (failures.count > latency.count * FAILED_SHARE_MAX) {
    throw new Error(`${failures.count} of ${latency.count} operations failed in "${one.name}": ${failures.first}`)
  }
  return {
    operationsPerSecond: (perSecond * done) / latency.count,
    p50Ms: latency.percentile(50),
    p99Ms: latency.percentile(99),
    clientCpuUs: (user + system) / done,
    serversCpuUs,
    operations: done,
    errors: failures.count,
  }
}

type Operation = (caller: number, turn: number) => Promise<unknown>

function operationOf(client: PeerClient, { operations, bytes, prefix }: Case, seed: number): Operation {
  const value = Buffer.alloc(bytes, 'v')
  const keys = keysOf(prefix, KEYS)
  const next = numbersBelow(KEYS, seed)
  const key = (): string => keys[next()] ?? ''
  const put: Operation = () => client.put(key(), value)
  const get: Operation = async () => {
    const found = await client.get(key())
    if (found !== bytes) throw new Error(`a value of ${found} bytes instead of ${bytes}`)
  }
  if (operations === 'put') return put
  if (operations === 'get') return get
  // In turns, and half of the callers begin with the other one: always as many of each.
  return (caller, turn) => ((caller + turn) % 2 === 0 ? put(caller, turn) : get(caller, turn))
}

/** A failure ends neither its caller's loop nor the others'. */
function counting(operation: Operation, failures: Failures): Operation {
  return async (caller, turn) => {
    try {
      await operation(caller, turn)
    } catch (error) {
      failures.count++
      failures.first ||= error instanceof Error ? error.message : String(error)
    }
  }
}

await main()
