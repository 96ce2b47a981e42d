import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { FakeWorld } from './fake-world.js'

// What tests of rolling restarts look at: who runs what, and that a group is never without more than one of its nodes.

/** A file that the fake world takes for a node program of this version. Gives its path. */
export function programOf(folder: string, version: string): string {
  const path = join(folder, 'built', version)
  mkdirSync(join(folder, 'built'), { recursive: true })
  writeFileSync(path, version)
  return path
}

/** The name that a copy of it has. The fake driver knows no bytes. */
export function nameOf(version: string): string {
  return `${version}-build of .coming`
}

/** What each node runs, by its name; undefined: the driver's own program. */
export function running(world: FakeWorld): Map<string, string | undefined> {
  return new Map([...world.running].map(({ data, program }) => [data.spec.name, program]))
}

export function pidsOf(world: FakeWorld): Map<string, number> {
  return new Map([...world.running].map(({ data, pid }) => [data.spec.name, pid]))
}

/**
 * From now on, whenever a process ends, all other members of its group must run and serve. Gives those of which that was
 * not so, and the order in which all have ended.
 */
export function watchEnds(world: FakeWorld, replicas: number): { readonly ends: string[]; readonly faults: string[] } {
  const [ends, faults]: [string[], string[]] = [[], []]
  world.ended = ({ data }) => {
    const { shard, name } = data.spec
    const others = [...world.running].filter((one) => one.data.spec.shard === shard && one.data !== data)
    const well = others.filter((one) => !one.opening && !one.gone && !world.lagging.has(one.data.spec.name))
    ends.push(name)
    if (well.length < replicas - 1)
      faults.push(`${name} ended beside ${well.map((one) => one.data.spec.name).join(', ')}`)
  }
  return { ends, faults }
}

/** Every node of the cluster runs this program, and serves. */
export function expectAllRun(world: FakeWorld, nodes: number, program: string | undefined): void {
  const all = running(world)
  expect(all.size).toBe(nodes)
  expect([...new Set(all.values())]).toEqual([program])
  expect([...world.running].filter(({ opening }) => opening)).toEqual([])
}
