// A disk that hangs: whoever writes there waits, and cannot even be killed. A leader whose disk hangs would go on sending
// heartbeats, so that nobody else leads: it must end by itself, though its own log is on that disk.
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { Disk, whyNoDisks } from '../harness/disk.js'
import type { NodeView } from '../harness/status.js'
import { until } from '../harness/wait.js'
import { underLoad } from './scene.js'

const SHARD = 1
/** The one that has a disk of its own. */
const NODE = 1
const DISK_BYTES = 256 << 20
/** The watchdog's 2.5 s and an election; a busy machine gets five times. */
const GAP_MS_MAX = 5 * (2_500 + 1_500)
/** What kvnode ends with when its disk has stalled (node-go/cmd/kvnode/exit.go). */
const STALLED = /exit code 75/

const why = whyNoDisks()
let cluster: Cluster | undefined
afterEach(() => cluster?.dispose())

test('of a leader: it ends, another one leads, and it is back when its disk is', async ({ skip }) => {
  skip(why !== undefined, why)
  const { started, disk } = await startWithDisk()
  await underLoad(started, async (scene) => {
    const leader = await started.moveLeaderTo(await started.nodeAt(SHARD, NODE))
    const probe = await scene.probe(SHARD)
    disk.freeze()
    await until('another leader', async () => (await started.leaderOf(SHARD)).term > leader.term)
    await scene.served(probe)
    console.log(`time without service after a stall of the leader's disk: ${probe.longestMs.toFixed(0)} ms`)
    expect(probe.longestMs).toBeLessThanOrEqual(GAP_MS_MAX)
    disk.thaw()
    await scene.gapOf(probe)
    await isBack(started, leader)
  })
})

test('of a follower: it ends, the others serve, and it is back when its disk is', async ({ skip }) => {
  skip(why !== undefined, why)
  const { started, disk } = await startWithDisk()
  await underLoad(started, async (scene) => {
    const follower = await started.nodeAt(SHARD, NODE)
    await leadElsewhere(started, follower)
    const probe = await scene.probe(SHARD)
    disk.freeze()
    await until('it to be gone', async () => (await started.nodesOf(SHARD)).every((node) => node.id !== follower.id))
    await scene.served(probe)
    console.log(`time without service after a stall of a follower's disk: ${probe.longestMs.toFixed(0)} ms`)
    disk.thaw()
    await scene.gapOf(probe)
    await isBack(started, follower)
  })
})

async function leadElsewhere(started: Cluster, node: NodeView): Promise<void> {
  const other = (await started.nodesOf(SHARD)).find((one) => one.id !== node.id)
  if (other === undefined) throw new Error('a shard without another node')
  await started.moveLeaderTo(other)
}

/** It was the watchdog that ended it, and it was started again. */
async function isBack(started: Cluster, node: NodeView): Promise<void> {
  await until('the orchestrator to see why it ended', () => STALLED.test(started.orchestrator.stderr))
  await until('it to be back', async () => (await started.nodeAt(SHARD, NODE)).pid !== node.pid)
}

async function startWithDisk(): Promise<{ started: Cluster; disk: Disk }> {
  let disk: Disk | undefined
  cluster = await Cluster.start({
    shards: 1,
    disks: (data) => {
      disk = Disk.ext4(join(data, `shard-${SHARD}`, `node-${NODE}`), `${data}.image`, DISK_BYTES)
      return [disk]
    },
  })
  if (disk === undefined) throw new TypeError('a cluster without the disk')
  return { started: cluster, disk }
}
