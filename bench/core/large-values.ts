// The long case: values live on disk and not in memory. Fills a 1 x 1 cluster and watches the node's memory.
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../../test/harness/cluster.js'
import type { Figures } from '../load/figures.js'
import { rssMib } from '../load/resources.js'

const GIB = 1 << 30
const VALUE_BYTES = 64 << 10
const CALLERS = 8
const LOOK_EVERY = 64

export async function largeValues(gib: number): Promise<Figures> {
  const cluster = await Cluster.start({ shards: 1, replicas: 1 })
  const wrapper = new RequestWrapper(cluster.address)
  try {
    const nodes = cluster.nodeProcesses().map((node) => node.pid)
    const look = (): number => Math.max(...nodes.map(rssMib))
    let most = look()
    let next = 0
    const begin = performance.now()
    const count = (gib * GIB) / VALUE_BYTES
    const fill = async (): Promise<void> => {
      while (next < count) {
        const at = next++
        await wrapper.put(`large-${at}`, String(at).padEnd(VALUE_BYTES, 'v'))
        if (at % LOOK_EVERY === 0) most = Math.max(most, look())
      }
    }
    await Promise.all(Array.from({ length: CALLERS }, fill))
    return { GiB: gib, 'fill s': (performance.now() - begin) / 1000, 'most RSS MiB': most, 'RSS after MiB': look() }
  } finally {
    wrapper.close()
    await cluster.dispose()
  }
}
