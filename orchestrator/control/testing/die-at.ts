import { vi } from 'vitest'
import type { Cluster } from '../cluster.js'
import { Registry } from '../registry.js'
import { never, type Pass } from './scale-scene.js'
import { ScaledClock } from './scaled-clock.js'

/**
 * What an orchestrator of a test is made with, and what it does until it has done it all or dies. Its looks at a cluster that
 * is dead may go on: what it does to the world itself must stop with `dead`.
 */
export interface Life {
  readonly start: (parts: { readonly pass: Pass; readonly clock: ScaledClock }) => Promise<Cluster>
  readonly act: (cluster: Cluster, dead: AbortSignal) => Promise<unknown>
}

const WRITES = ['setCluster', 'setNodes', 'setGroup', 'setMap', 'setDrained', 'forgetGroup', 'forgetNode'] as const

/** Who is dead reads nothing any more: what was about to be read from the registry when it was closed stays unanswered. */
function hushWhenClosed(registry: Registry): void {
  const unanswered = () => new Promise<never>(() => {})
  const [nodes, groups] = [registry.nodes.bind(registry), registry.groups.bind(registry)]
  Object.assign(registry, {
    nodes: () => nodes().catch(unanswered),
    groups: () => groups().catch(unanswered),
  })
}

/** What only looks changes nothing: to die there is to die at what comes next. */
function isEffect(what: string): boolean {
  return !/^(?:status|watch|find|meta get|lease)/.test(what)
}

/**
 * Acts, and freezes everything of that orchestrator when it comes to its effect number `at`, counted from when it acts, just
 * before that. Says which that was; undefined when there are no so many, and it has stopped in order. `counts`: which are counted.
 */
export async function dieAt(
  at: number,
  { start, act }: Life,
  counts: (what: string) => boolean = () => true,
): Promise<string | undefined> {
  let left = Number.POSITIVE_INFINITY
  let died: (what: string) => void = () => {}
  const dead = new AbortController()
  const death = new Promise<string>((resolve) => {
    died = (what) => {
      dead.abort(new Error(`died at ${what}`))
      resolve(what)
    }
  })
  const pass = async (what: string) => {
    if (isEffect(what) && counts(what)) left--
    if (left > 0) return
    died(what)
    await new Promise(() => {})
  }
  const registries: Registry[] = []
  const real = Registry.open.bind(Registry)
  vi.spyOn(Registry, 'open').mockImplementation(async (...args) => {
    const registry = await real(...args)
    registries.push(registry)
    hushWhenClosed(registry)
    for (const name of WRITES) {
      const write = registry[name].bind(registry) as (value: unknown) => Promise<void>
      vi.spyOn(registry, name).mockImplementation(async (value: unknown) => {
        await pass(name)
        await write(value)
      })
    }
    return registry
  })
  const clock = new ScaledClock()
  const cluster = await start({ pass, clock })
  left = at
  const how = await Promise.race([death, act(cluster, dead.signal).then(() => undefined)])
  vi.restoreAllMocks()
  if (how !== undefined) {
    clock.stop()
    await Promise.all(registries.map((registry) => registry.close()))
    return how
  }
  left = Number.POSITIVE_INFINITY
  await cluster.stop(never.forced)
  return undefined
}
