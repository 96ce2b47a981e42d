import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { groupName, nodeName } from '../data-directory.js'
import type { Driver, NodeProcess, NodeSpec } from '../drivers/driver.js'
import { StartFault } from '../faults.js'
import type { FakeWorld } from './fake-world.js'
import type { Pass } from './scale-scene.js'

const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5']

/** Machines around a fake world, whose nodes any orchestrator can run. Each obeys the greatest term that it has met. */
export class FakeAgents {
  readonly #terms = new Map<string, number>()

  constructor(
    private readonly folder: string,
    private readonly world: FakeWorld,
  ) {}

  /** Of one orchestrator. */
  driver(pass: Pass): Driver {
    const local = this.world.driver(async () => {})
    let term = 0
    const order = async <T>(what: string, spec: NodeSpec, work: () => Promise<T>): Promise<T> => {
      await pass(`${what} ${spec.name}`)
      if (!this.#obeys(spec.machine, term)) throw new StartFault(`${spec.machine} has an order of a greater term`)
      return work()
    }
    const remote = (process: NodeProcess, { machine }: NodeSpec): NodeProcess => ({
      ...process,
      signal: (signal) => {
        if (this.#obeys(machine, term)) process.signal(signal)
      },
    })
    return {
      ...local,
      roams: true,
      lead: (next) => {
        term = next
      },
      machines: async () => MACHINES.map((name) => ({ name, zone: name })),
      directoryOf: (place, machine) => join(this.folder, machine, nodeName(place)),
      expectRoom: () => {},
      remove: (spec) => order('remove', spec, () => local.remove(spec)),
      find: (spec, last) =>
        order('find', spec, async () => {
          const found = await local.find(spec, last)
          return found === undefined ? undefined : remote(found, spec)
        }),
      spawn: (spec, address, peers) =>
        order('spawn', spec, async () => remote(await local.spawn(spec, address, peers), spec)),
    }
  }

  /** Every directory of a node on any machine: "m1/shard-1/node-2". */
  get directories(): string[] {
    const namesIn = (path: string) => (existsSync(path) ? readdirSync(path) : [])
    return MACHINES.flatMap((machine) =>
      namesIn(join(this.folder, machine)).flatMap((group) =>
        namesIn(join(this.folder, machine, group)).map((node) => `${machine}/${group}/${node}`),
      ),
    ).sort()
  }

  /** The same of the nodes that run: what there is when nothing is left over, and no node is in two places. */
  get running(): string[] {
    const specs = [...this.world.running].map(({ data }) => data.spec)
    return specs.map(({ machine, shard, index }) => `${machine}/${groupName(shard)}/node-${index}`).sort()
  }

  #obeys(machine: string, term: number): boolean {
    const greatest = this.#terms.get(machine) ?? 0
    this.#terms.set(machine, Math.max(greatest, term))
    return term >= greatest
  }
}
