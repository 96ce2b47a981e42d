import type { Telemetry } from '../telemetry/index.js'
import type { Driver } from './drivers/driver.js'
import type { Registry } from './registry.js'

export interface NewsDeps {
  readonly registry: Registry
  readonly driver: Driver
  readonly telemetry: Telemetry
}

/**
 * Says it when nodes are not what a person may expect who has just started a newer Kvorum: those that run are adopted as
 * they are, and a program that was taken in stays the one that nodes are started with. Changes nothing.
 */
export async function tellPrograms({ registry, driver, telemetry }: NewsDeps): Promise<void> {
  const { program } = driver
  const build = await driver.build()
  // Of nodes that another orchestrator has started the build is not known.
  const known = (await registry.nodes()).filter((node) => node.program === undefined && node.build !== undefined)
  const outdated = known.filter((node) => node.build !== build)
  if (outdated.length > 0) telemetry.emit('nodes.outdated', { count: outdated.length, program })
  const kept = (await registry.cluster())?.program
  if (kept !== undefined && !kept.endsWith(`-${build}`)) telemetry.emit('program.kept', { kept, program })
}
