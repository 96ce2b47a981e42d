// The concurrent benchmark as a function: worker processes against one address, started together.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ask } from './load/ask.js'
import { Latency } from './load/latency.js'
import { type Job, type ServiceName, VERBS, type Verb, type WorkDone } from './protocol.js'

export interface ConcurrentOptions {
  readonly address: string
  readonly service: ServiceName
  readonly workers: number
  /** Operations of each worker. */
  readonly iterations: number
}

export interface ConcurrentReport {
  readonly seconds: number
  readonly operations: number
  readonly errors: number
  readonly firstError: string
  readonly latency: Readonly<Record<Verb, Latency>>
}

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))

export async function runConcurrent(options: ConcurrentOptions): Promise<ConcurrentReport> {
  const workers = Array.from({ length: options.workers }, () => fork(WORKER, { serialization: 'advanced' }))
  try {
    await Promise.all(workers.map((worker, index) => prepare(worker, { ...options, index })))
    const begin = performance.now()
    const done = await Promise.all(workers.map(work))
    return summarize(done, (performance.now() - begin) / 1000)
  } finally {
    for (const worker of workers) worker.kill('SIGKILL')
  }
}

async function prepare(worker: ChildProcess, { address, service, index, iterations }: Job): Promise<void> {
  await ask(worker, { address, service, index, iterations })
}

async function work(worker: ChildProcess): Promise<WorkDone> {
  return (await ask(worker, 'go')) as WorkDone
}

function summarize(done: readonly WorkDone[], seconds: number): ConcurrentReport {
  const latency = { put: new Latency(), get: new Latency(), delete: new Latency() }
  for (const { latenciesUs } of done) {
    for (const verb of VERBS) for (const us of latenciesUs[verb]) latency[verb].recordUs(us)
  }
  const errors = done.reduce((sum, one) => sum + one.errors, 0)
  const operations = errors + VERBS.reduce((sum, verb) => sum + latency[verb].count, 0)
  return { seconds, operations, errors, firstError: done.find((one) => one.errors > 0)?.firstError ?? '', latency }
}
