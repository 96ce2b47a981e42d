// A disk that is full: writes fail and say so, nothing that was acknowledged is lost, and it goes on when there is room.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { DataDirectory } from '../../orchestrator/control/data-directory.js'
import { Registry } from '../../orchestrator/control/registry.js'
import { KvError } from '../../orchestrator/errors/index.js'
import { Cluster } from '../harness/cluster.js'
import { Disk, whyNoDisks } from '../harness/disk.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { until, within } from '../harness/wait.js'
import { underLoad } from './scene.js'

const SHARD = 1
/** Six nodes begin with a segment of 4 MiB of Raft log each. */
const DISK_SIZE = '128m'
const CALL_MS_MAX = 2_000
/** For the orchestrator's own files. */
const SMALL_BYTES = 8 << 20
const ADDRESS = '127.0.0.1:20000'
/** What the orchestrator says when its registry cannot be written. */
const CANNOT_NOTE = /cannot be started: .*No space left/
/** What kvnode ends with when it cannot write (node-go/cmd/kvnode/exit.go). */
const CANNOT_WRITE = /exit code 74/

let cluster: Cluster | undefined
afterEach(() => cluster?.dispose())

const why = whyNoDisks()

test('while it serves: writes fail and say what is known; with room it goes on, with everything', async ({ skip }) => {
  skip(why !== undefined, why)
  const { started, disk } = await startOn((data) => Disk.tmpfs(data, DISK_SIZE))
  await underLoad(started, async (scene) => {
    const probe = await scene.probe(SHARD)
    disk.fill()
    const nextKey = keysOn(scene.map, SHARD, 'full')
    const { key, error } = await until('a write to fail', () => failureOf(started.address, nextKey()))
    console.log(`a write on a full disk: ${error.code}, ${error.outcome}: ${error.message}`)
    expect(error.outcome).not.toBe('applied')
    await until('the reason to be told', () => CANNOT_WRITE.test(started.orchestrator.stderr))
    expect(started.orchestrator.running).toBe(true)
    disk.makeRoom()
    await scene.served(probe)
    await scene.gapOf(probe)
    if (error.outcome === 'not-applied') expect(await scene.client.get(key)).toBeNull()
  })
})

test('when it is started: one line says so, nothing stays behind; with room it starts, with everything', async ({
  skip,
}) => {
  skip(why !== undefined, why)
  const { started, disk } = await startOn((data) => Disk.tmpfs(data, DISK_SIZE))
  const client = new RequestWrapper(started.address)
  try {
    await client.put('kept', 'value')
    await started.stop()
    disk.fill()
    const program = started.spawn()
    const { code } = await within('a refusal', 30_000, program.ended)
    expect(code).toBeGreaterThan(0)
    expect(program.stdout).toBe('')
    expect(program.stderr.split('\n')).toEqual([expect.stringMatching(/disk is full/)])
    expect(started.processes()).toEqual([])
    disk.makeRoom()
    await started.restart()
    expect(await client.get('kept')).toBe('value')
  } finally {
    client.close()
  }
})

test('of the orchestrator: a node that cannot be noted is started all the same when there is room', async ({
  skip,
}) => {
  skip(why !== undefined, why)
  const { started, disk } = await startOn((data) => Disk.ext4(join(data, 'orchestrator'), `${data}.image`, SMALL_BYTES))
  await underLoad(started, async (scene) => {
    const probe = await scene.probe(SHARD)
    disk.fill()
    await until('a start that could not be written down', async () => {
      const [follower] = await started.followersOf(SHARD)
      if (follower !== undefined) signal(follower.pid, 'SIGKILL')
      return CANNOT_NOTE.test(started.orchestrator.stderr)
    })
    disk.makeRoom()
    await started.settled()
    await scene.gapOf(probe)
  })
  started.orchestrator.signal('SIGKILL')
  await started.orchestrator.ended
  const pids = pidsOf(started)
  await started.restart()
  expect(pidsOf(started)).toEqual(pids)
})

test('in the middle of what the registry writes: what it writes later is there after its end', async ({ skip }) => {
  skip(why !== undefined, why)
  const folder = mkdtempSync(join(tmpdir(), 'kvorum-registry-'))
  const disk = Disk.tmpfs(folder, `${SMALL_BYTES}`)
  try {
    const directory = new DataDirectory(folder)
    const registry = await Registry.open(directory, process.pid)
    const write = (pid: number): Promise<void> => registry.setNodes([{ shard: SHARD, index: 1, address: ADDRESS, pid }])
    // The file has a page now, and its last record will not end where a page ends.
    await write(1)
    disk.fill()
    const writeOn = async (): Promise<never> => {
      for (;;) await write(2)
    }
    await expect(writeOn()).rejects.toThrow(/No space left/)
    disk.makeRoom()
    await write(3)
    await registry.close()
    const later = await Registry.open(directory, process.pid)
    expect(await later.nodes()).toMatchObject([{ pid: 3 }])
    await later.close()
  } finally {
    disk.detach()
    rmSync(folder, { recursive: true, force: true })
  }
})

function pidsOf(started: Cluster): number[] {
  const pids = started.nodeProcesses().map(({ pid }) => pid)
  return pids.sort((a, b) => a - b)
}

async function failureOf(address: string, key: string): Promise<{ key: string; error: KvError } | undefined> {
  const client = new RequestWrapper(address, { deadlineMs: CALL_MS_MAX })
  try {
    await client.put(key, 'v')
    return undefined
  } catch (error) {
    if (error instanceof KvError) return { key, error }
    throw error
  } finally {
    client.close()
  }
}

async function startOn(make: (data: string) => Disk): Promise<{ started: Cluster; disk: Disk }> {
  let disk: Disk | undefined
  cluster = await Cluster.start({
    shards: 1,
    disks: (data) => {
      disk = make(data)
      return [disk]
    },
  })
  if (disk === undefined) throw new TypeError('a cluster without the disk')
  return { started: cluster, disk }
}
