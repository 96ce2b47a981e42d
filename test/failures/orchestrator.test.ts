// kill -9 of the orchestrator under load: the nodes go on, and the next orchestrator takes them over as they are.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { underLoad } from './scene.js'

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start()
})
afterAll(() => cluster?.dispose())

test('kill -9 of the orchestrator: nodes outlive it, the next one adopts them, clients go on', async () => {
  await underLoad(cluster, async (scene) => {
    const nodes = pids()
    const probe = await scene.probe(1)
    cluster.orchestrator.signal('SIGKILL')
    await cluster.orchestrator.ended
    expect(pids()).toEqual(nodes)
    const begin = performance.now()
    await cluster.restart()
    const readyMs = performance.now() - begin
    await scene.served(probe)
    const gap = await scene.gapOf(probe)
    console.log(
      `orchestrator killed: ready again ${readyMs.toFixed(0)} ms after its start, ${gap.toFixed(0)} ms without service`,
    )
    expect(pids()).toEqual(nodes)
  })
})

function pids(): number[] {
  return cluster
    .nodeProcesses()
    .map((node) => node.pid)
    .sort((a, b) => a - b)
}
