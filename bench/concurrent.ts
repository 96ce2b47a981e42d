// The concurrent benchmark as a function: worker processes against one address, started together.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
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
  const ready = answerOf(worker)
  worker.send({ address, service, index, iterations })
  await ready
}

async function work(worker: ChildProcess): Promise<WorkDone> {
  const done = answerOf(worker)
  worker.send('go')
  return (await done) as WorkDone
}

/** The worker's next message; rejects if it ends instead. */
async function answerOf(worker: ChildProcess): Promise<unknown> {
  const stop = new AbortController()
  const { signal } = stop
  const died = once(worker, 'exit', { signal }).then(([code]) => {
    throw new Error(`a worker ended with code ${code}`)
  })
  died.catch(() => undefined)
  try {
    const [message] = (await Promise.race([once(worker, 'message', { signal }), died])) as [unknown]
    return message
  } finally {
    stop.abort()
  }
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
