// What a person does with `npm start`: start, look, stop, start again; and what the next start finds.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'
import { ROOT } from '../harness/root.js'

const run = promisify(execFile)
/** Warm start to ready is promised in 3 s on a quiet machine; a busy one gets five times. */
const READY_MS_MAX = 5 * 3_000

let cluster: Cluster
beforeEach(async () => {
  cluster = await Cluster.start({ shards: 2, args: ['--log-requests'] })
})
afterEach(() => cluster?.dispose())

async function kvorum(...args: string[]): Promise<string> {
  const cli = join(ROOT, 'dist/orchestrator/cli/main.js')
  const { stdout } = await run(process.execPath, [cli, ...args, '--address', cluster.address], { timeout: 20_000 })
  return stdout
}

test('SIGINT and SIGTERM stop everything with code 0; a start on the same data has everything', async () => {
  const client = new RequestWrapper(cluster.address)
  try {
    await client.put('kept', 'value')
    for (const how of ['SIGINT', 'SIGTERM'] as const) {
      expect(await cluster.stop(how)).toEqual({ code: 0, signal: null })
      expect(cluster.processes()).toEqual([])
      const begin = performance.now()
      await cluster.restart()
      const readyMs = performance.now() - begin
      console.log(`start on existing data to ready: ${readyMs.toFixed(0)} ms`)
      expect(readyMs).toBeLessThanOrEqual(READY_MS_MAX)
      expect(await client.get('kept')).toBe('value')
    }
  } finally {
    client.close()
  }
})

test('kill -9 of the orchestrator leaves the nodes running, and the next start adopts them', async () => {
  const before = cluster.nodeProcesses()
  expect(before.length).toBeGreaterThanOrEqual(2 * 3)
  cluster.orchestrator.signal('SIGKILL')
  await cluster.orchestrator.ended
  await cluster.restart()
  expect(cluster.nodeProcesses()).toEqual(before)
  // What was adopted can be stopped like what was started.
  expect(await cluster.stop()).toEqual({ code: 0, signal: null })
  expect(cluster.processes()).toEqual([])
})

test('the command line: put, get, delete, status', async () => {
  await kvorum('put', 'k1', 'v1')
  expect((await kvorum('get', 'k1')).trim()).toBe('v1')
  expect((await kvorum('append', 'k1', 'v2')).trim()).toBe('4')
  await kvorum('delete', 'k1')
  // --log-requests: each request in the log.
  for (const verb of ['put', 'get', 'append', 'delete'])
    expect(cluster.orchestrator.stderr).toMatch(new RegExp(`${verb}.*k1`))
  await expect(kvorum('get', 'k1')).rejects.toMatchObject({ code: 1 })

  const status: unknown = JSON.parse(await kvorum('status', '--json'))
  const pid = expect.any(Number)
  const node = { id: expect.any(String), pid, address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) }
  const serving = { ...node, role: expect.any(String), state: 'serving', applied: expect.anything() }
  const shard = (id: number): object => ({
    id,
    leader: expect.any(String),
    term: expect.anything(),
    partitions: 512,
    nodes: [1, 2, 3].map(() => expect.objectContaining(serving)),
  })
  expect(status).toMatchObject({ epoch: expect.anything(), shards: expect.arrayContaining([shard(1), shard(2)]) })
  expect(await kvorum('status')).toMatch(/leader/)
})
