import { setMaxListeners } from 'node:events'
import { existsSync } from 'node:fs'
import { fromCheckout } from '../config/checkout.js'
import type { Telemetry } from '../telemetry/index.js'
import type { Stop } from './cluster.js'
import type { DataDirectory } from './data-directory.js'
import { localDriver } from './drivers/local.js'
import { isBehindProxy, nodesOn } from './drivers/processes.js'
import { StartFault } from './faults.js'
import { expectRegistry } from './lost-registry.js'

/** What stands between the nodes of a cluster that is to be broken by hand. It outlives us, as they do. */
export interface FaultProxy {
  /** Takes the place of the node program: a node that it starts is reached through the proxy only. */
  readonly program: string
  /** Aborted, with a StartFault, when it is gone for good: the nodes do not reach each other any more. */
  readonly lost: AbortSignal
  /** Ends it, unless it is to be left to nodes that still run. */
  close(how: { readonly leave: boolean }): Promise<void>
}

export interface FaultProxyOptions {
  /** Absolute; made if it is absent. Everything that it leaves is there. */
  readonly folder: string
  /** The node program. */
  readonly program: string
  /** It has ended though nobody asked it to; another one is being started. */
  lost(reason: string): void
}

const MODULE = 'test/chaos/by-hand/standing-proxy.js'

interface Module {
  open(options: FaultProxyOptions): Promise<FaultProxy>
}

export interface Wish {
  readonly directory: DataDirectory
  readonly program: string
  /** Whether there is to be a proxy. */
  readonly proxy: boolean
  readonly telemetry: Telemetry
}

/**
 * Runs a cluster with the node program that its nodes are to be started with: the one that was asked for, or one that puts a
 * proxy before it. Rejects with a StartFault when nodes that run already are of the other kind, or the proxy cannot be kept up.
 */
export async function throughProxy(
  wish: Wish,
  stop: Stop,
  run: (program: string, stop: Stop) => Promise<void>,
): Promise<void> {
  const { directory, program, telemetry } = wish
  expectAlike(wish)
  if (!wish.proxy) return run(program, stop)
  // Before anything is written or started that a start would refuse.
  localDriver({ program, flags: [] }).check()
  expectRegistry(directory)
  directory.prepare()
  const module = await fromCheckout<Module>(MODULE)
  if (module === undefined) throw new StartFault('--fault-proxy is part of the project, not of the package')
  const lost = (reason: string) => telemetry.emit('proxy.lost', { reason })
  const proxy = await module.open({ folder: directory.faultProxy, program, lost })
  const asked = AbortSignal.any([stop.asked, proxy.lost])
  setMaxListeners(0, asked)
  try {
    await run(proxy.program, { asked, forced: stop.forced })
    proxy.lost.throwIfAborted()
  } finally {
    await proxy.close({ leave: nodesOn(directory.path).length > 0 })
  }
}

/** Nodes that an earlier orchestrator has left go on as they were started. */
function expectAlike({ directory, proxy }: Wish): void {
  // A chaos run has a proxy of its own, which it gives to every orchestrator of its cluster as the node program.
  const isOurs = existsSync(directory.faultProxy)
  const others = nodesOn(directory.path).filter((argv) => (isOurs && isBehindProxy(argv)) !== proxy)
  if (others.length === 0) return
  const how = proxy ? 'without' : 'with'
  throw new StartFault(
    `${others.length} nodes that were started ${how} --fault-proxy still run on ${directory.given}: start ${how} it and ` +
      'stop that with Ctrl-C; then the same data can be started either way',
  )
}
