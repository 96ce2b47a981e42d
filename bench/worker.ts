// One client of the concurrent benchmark, in a process of its own: connects, says that it is ready, and on the word
// "go" does its operations one after the other, put, get and delete in equal parts.
import { once } from 'node:events'
import { type BenchClient, openClient } from './client.js'
import { type Job, VERBS, type Verb, type WorkDone } from './protocol.js'

const VALUE = 'v'.repeat(256)
const KEYS = 100

async function main(): Promise<void> {
  const [job] = (await once(process, 'message')) as [Job]
  const client = openClient(job.service, job.address)
  try {
    // The first call opens the connection; its time is nobody's latency. If it fails the others will say why.
    await client.run('get', 'bench', VALUE).catch(() => undefined)
    const go = once(process, 'message')
    process.send?.('ready')
    await go
    process.send?.(await work(job, client))
  } finally {
    client.close()
    process.disconnect()
  }
}

async function work({ index, iterations }: Job, client: BenchClient): Promise<WorkDone> {
  const latencies: Record<Verb, number[]> = { put: [], get: [], delete: [] }
  let errors = 0
  let firstError = ''
  for (let i = 0; i < iterations; i++) {
    // The three verbs in turn on one key, then on the next key.
    const verb = VERBS[i % VERBS.length] ?? 'get'
    const key = `bench-${index}-${Math.floor(i / VERBS.length) % KEYS}`
    const begin = performance.now()
    try {
      await client.run(verb, key, VALUE)
      latencies[verb].push((performance.now() - begin) * 1000)
    } catch (error) {
      errors++
      firstError ||= error instanceof Error ? error.message : String(error)
    }
  }
  const { put, get, delete: remove } = latencies
  const latenciesUs = { put: Uint32Array.from(put), get: Uint32Array.from(get), delete: Uint32Array.from(remove) }
  return { latenciesUs, errors, firstError }
}

await main()
