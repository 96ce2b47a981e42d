// Faults by the command line, `kvorum fault`: what a person breaks is healed, also when the command is killed.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'
import { Program } from '../harness/process.js'
import { ROOT } from '../harness/root.js'
import { until, within } from '../harness/wait.js'

const SHARD = 1
const END_MS_MAX = 20_000

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 1 })
})
afterAll(() => cluster?.dispose())

test('a pause ends when its time is over, though the command was killed', async ({ skip }) => {
  skip(process.platform !== 'linux', 'only Linux tells that a process is stopped')
  await cluster.settled()
  const node = await cluster.nodeAt(SHARD, 1)
  const command = fault('pause', 'shard-1/node-1', '--for', '2')
  await command.line(/^paused shard-1\/node-1/, END_MS_MAX)
  await until('it to be stopped', () => isStopped(node.pid))
  command.signal('SIGKILL')
  await command.ended
  expect(isStopped(node.pid)).toBe(true)
  const client = new RequestWrapper(cluster.address)
  try {
    await client.put('k', 'the others serve')
  } finally {
    client.close()
  }
  await until('it to be woken', () => !isStopped(node.pid))
  await cluster.settled()
})

test('a pause ends when the command is interrupted', async ({ skip }) => {
  skip(process.platform !== 'linux', 'only Linux tells that a process is stopped')
  await cluster.settled()
  const node = await cluster.nodeAt(SHARD, 2)
  const command = fault('pause', node.id)
  await command.line(/^paused/, END_MS_MAX)
  command.signal('SIGINT')
  expect((await within('the command to end', END_MS_MAX, command.ended)).code).toBe(0)
  expect(isStopped(node.pid)).toBe(false)
})

test('a kill: it is started again', async () => {
  await cluster.settled()
  const node = await cluster.nodeAt(SHARD, 3)
  const command = fault('kill', 'shard-1/node-3')
  expect((await within('the command to end', END_MS_MAX, command.ended)).code).toBe(0)
  await until('it to be back', async () => (await cluster.nodeAt(SHARD, 3)).pid !== node.pid)
})

function fault(...args: string[]): Program {
  const main = join(ROOT, 'dist/orchestrator/cli/main.js')
  return new Program([process.execPath, main, 'fault', ...args, '--address', cluster.address])
}

function isStopped(pid: number): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}
