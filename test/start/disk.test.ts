// A start on a disk that is full or read-only, as root too: one clear line, a code other than 0, and nothing that runs.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Cluster, startOrchestrator } from '../harness/cluster.js'
import { Disk, whyNoDisks } from '../harness/disk.js'
import { type Program, processesOf } from '../harness/process.js'
import { within } from '../harness/wait.js'

const END_MS_MAX = 30_000
const why = whyNoDisks()

let folder: string
let disk: Disk | undefined
let cluster: Cluster | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-start-disk-'))
})
afterEach(async () => {
  await cluster?.dispose()
  disk?.detach()
  rmSync(folder, { recursive: true, force: true })
  cluster = undefined
  disk = undefined
})

/** The only line that it says. */
async function refusalOf(program: Program, data: string): Promise<string> {
  const { code, signal } = await within('a refusal', END_MS_MAX, program.ended)
  expect([code, signal]).toEqual([1, null])
  expect(program.stdout).toBe('')
  expect(program.stderr.split('\n')).toHaveLength(1)
  expect(program.stderr).toContain(data)
  expect(processesOf(data)).toEqual([])
  return program.stderr
}

function startOn(data: string): Promise<string> {
  return refusalOf(startOrchestrator(['--data', data, '--port', '0']), data)
}

test('a full disk', async ({ skip }) => {
  skip(why !== undefined, why)
  disk = Disk.tmpfs(folder, '16m')
  disk.fill()
  expect(await startOn(folder)).toMatch(/the disk is full/)
  expect(await startOn(join(folder, 'data'))).toMatch(/the disk is full/)
})

test('a disk with too little room for new nodes', async ({ skip }) => {
  skip(why !== undefined, why)
  disk = Disk.tmpfs(folder, '16m')
  expect(await startOn(folder)).toMatch(/has room for \d+ MiB; 12 new nodes need 72 MiB .*: make room, or start fewer/)
})

test('a read-only disk', async ({ skip }) => {
  skip(why !== undefined, why)
  disk = Disk.tmpfs(folder, '16m')
  disk.makeReadOnly()
  expect(await startOn(folder)).toMatch(/the file system is read-only/)
  expect(await startOn(join(folder, 'data'))).toMatch(/the file system is read-only/)
})

test('data on a disk that has become read-only', async ({ skip }) => {
  skip(why !== undefined, why)
  const disks: Disk[] = []
  const started = await Cluster.start({
    shards: 1,
    replicas: 1,
    disks: (data) => {
      disks.push(Disk.tmpfs(data, '64m'))
      return disks
    },
  })
  cluster = started
  await started.stop()
  for (const each of disks) each.makeReadOnly()
  expect(await refusalOf(started.spawn({ shards: 1, replicas: 1 }), started.data)).toMatch(
    /the file system is read-only/,
  )
})
