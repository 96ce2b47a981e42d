// That a storm of snapshots is one: followers need installs and get them, under writes, and nothing is lost.
import { afterEach, expect, test } from 'vitest'
import { RequestWrapper } from '../../../orchestrator/client/index.js'
import { Cluster } from '../../harness/cluster.js'
import { keysOn } from '../../harness/keys.js'
import { until } from '../../harness/wait.js'
import { LiveScene } from '../scene.js'
import type { Preparation, Scene } from './fault.js'
import { SharedLab, whyNoLab } from './lab.js'
import { SnapshotStorm } from './snapshots.js'

const SHARD = 1
const PATIENT_MS = 20_000
const INSTALLS_MS_MAX = 60_000
/** Of each: a snapshot was taken and one installed, and what was overwritten was merged. */
const ALL_OF_IT = /[1-9]\d* snapshots taken, [1-9]\d* installed, [1-9]\d* merges/

const shared = new SharedLab()
let prepared: Preparation
let scene: Scene
let client: RequestWrapper

afterEach(async () => {
  client?.close()
  await scene?.cluster.dispose()
  await prepared?.close()
})

test.for([true, false])(
  'followers that are away (killed: %s) come back by installs, under writes',
  async (killed, { skip }) => {
    skip(whyNoLab !== undefined, whyNoLab)
    const storms = new SnapshotStorm(shared)
    prepared = await storms.prepare()
    const cluster = await Cluster.start({ ...prepared.cluster, shards: 1 })
    const map = await cluster.map()
    scene = new LiveScene(cluster, map, 3, new AbortController().signal)
    client = new RequestWrapper(cluster.address, { deadlineMs: PATIENT_MS })
    await cluster.settled()
    const key = keysOn(map, SHARD, 'tokens')()
    let expected = ''
    const target = { of: 'shard', shard: SHARD } as const
    const storm = await storms.inject(scene, { kind: storms.name, target, forMs: 0, params: { killed } })
    await until(
      'installs and merges',
      async () => {
        const token = `${expected.length};`
        await client.append(key, token)
        expected += token
        return ALL_OF_IT.test(storm.what)
      },
      INSTALLS_MS_MAX,
    )
    await storm.heal()
    console.log(storm.what)
    await cluster.settled()
    expect(await client.get(key)).toBe(expected)
  },
)
