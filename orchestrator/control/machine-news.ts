import { nodeName } from './data-directory.js'
import type { NewsDeps } from './program-news.js'

/**
 * Says which machines have nodes and no agent that has ever answered: it does not run, or is not among --agents. What an agent is
 * called is known only by its own word, so a link that is silent from the start has no name.
 */
export async function tellAbsentMachines({ registry, driver, telemetry }: NewsDeps): Promise<void> {
  const { zoneOf } = driver
  if (zoneOf === undefined) return
  const absent = (await registry.nodes()).flatMap(({ machine, ...node }) =>
    machine === undefined || zoneOf.call(driver, machine) !== undefined ? [] : [{ machine, node: nodeName(node) }],
  )
  if (absent.length === 0) return
  const machines = [...new Set(absent.map(({ machine }) => machine))]
  telemetry.emit('machines.absent', { machines, nodes: absent.map(({ node }) => node) })
}
