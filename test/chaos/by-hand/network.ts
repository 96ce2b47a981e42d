// `kvorum fault partition|delay|heal`: orders to the proxy of a cluster that was started with it.
import { randomUUID } from 'node:crypto'
import type { NetworkFault } from '../../../orchestrator/cli/fault-task.js'
import { ANYBODY, type Link, type LinkFault, ProxyControl } from '../faults/proxy.js'
import { answers, folderIn, readKept } from './kept.js'

/**
 * Begins a fault of a node, which the proxy ends when its time is over. Gives what ends it before; undefined where there is no
 * proxy that answers.
 */
export async function begin(data: string, fault: NetworkFault): Promise<(() => Promise<void>) | undefined> {
  const proxy = await proxyOf(data)
  if (proxy === undefined) return undefined
  const id = randomUUID()
  await proxy.set(id, linkFaultOf(fault))
  // A proxy that has ended meanwhile has ended the fault as well.
  return () => proxy.heal(id).catch(() => undefined)
}

/** Ends all faults of a node, or of every one; false where there were none, or no proxy that answers. */
export async function heal(data: string, node?: string): Promise<boolean> {
  const proxy = await proxyOf(data)
  if (proxy === undefined) return false
  const before = (await proxy.state()).faults.length
  await (node === undefined ? proxy.heal() : proxy.healParty(node))
  return (await proxy.state()).faults.length < before
}

async function proxyOf(data: string): Promise<ProxyControl | undefined> {
  const folder = folderIn(data)
  const kept = readKept(folder)
  return kept !== undefined && (await answers(folder, kept)) ? new ProxyControl(kept.control) : undefined
}

export function linkFaultOf(fault: NetworkFault): LinkFault {
  const { node, forMs } = fault
  const toIt: Link = { from: ANYBODY, to: node }
  const fromIt: Link = { from: node, to: ANYBODY }
  if (fault.fault === 'delay') {
    return { links: [toIt, fromIt], rule: { delayMs: fault.delayMs, jitterMs: fault.jitterMs }, forMs }
  }
  const links = { in: [toIt], out: [fromIt], both: [toIt, fromIt] }[fault.direction]
  return { links, rule: { cut: true }, forMs }
}
