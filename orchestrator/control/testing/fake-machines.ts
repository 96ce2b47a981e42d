import { setMaxListeners } from 'node:events'
import { Changes } from '../changes.js'
import type { Driver, Exit, NodeProcess, NodeSpec } from '../drivers/driver.js'
import { OutOfReach, StartFault } from '../faults.js'
import type { Machine } from '../machines.js'
import type { FakeWorld } from './fake-world.js'

const forEver = new AbortController().signal
// Every process of every node waits with it.
setMaxListeners(0, forEver)

/** Puts the nodes of a fake world on several machines, each with an agent, which can be cut off and lose their power. */
export class FakeMachines {
  readonly #silent = new Set<string>()
  readonly #changes = new Changes()
  /** Nodes (by name) whose disks are not mounted: their directories are not there. */
  readonly unmounted = new Set<string>()
  readonly all: readonly Machine[]

  constructor(
    private readonly world: FakeWorld,
    /** Name, or name/zone. */
    ...names: readonly string[]
  ) {
    this.all = names.map((one) => {
      const [name = '', zone = name] = one.split('/')
      return { name, zone }
    })
  }

  /** The names of the nodes whose processes run there. */
  nodesOn(machine: string): string[] {
    const there = [...this.world.running].filter(({ data }) => data.spec.machine === machine)
    return there.map(({ data }) => data.spec.name).sort()
  }

  machineOf(node: string): string {
    return this.world.data.get(node)?.spec.machine ?? ''
  }

  /** Nothing is heard of it any more; what runs on it goes on. */
  cutOff(machine: string): void {
    this.#silent.add(machine)
    for (const name of this.nodesOn(machine)) this.world.mute(name)
    for (const { shard } of this.#places(machine)) {
      if (this.world.shard(shard).leader?.data.spec.machine === machine) this.world.depose(shard)
    }
    this.#changes.tell()
  }

  /** The same, and nothing runs on it. Nobody is told. */
  powerOff(machine: string): void {
    this.cutOff(machine)
    for (const name of this.nodesOn(machine)) this.world.kill(name)
  }

  /** It is heard again, and so are those that run on it. */
  connect(machine: string): void {
    this.#silent.delete(machine)
    for (const name of this.nodesOn(machine)) this.world.unmute(name)
    this.#changes.tell()
  }

  driver(pass: (what: string) => Promise<void>): Driver {
    const local = this.world.driver(pass)
    return {
      ...local,
      answers: (machine) => this.#answers(machine),
      machines: async (wanted) => {
        const there = this.all.filter(({ name }) => this.#answers(name))
        if (there.length >= Math.min(wanted, this.all.length)) return there
        throw new StartFault(`${there.length} of ${this.all.length} agents answer`)
      },
      directoryOf: (place, _, data) => data.node(place),
      expectRoom: () => {},
      // Where nobody can look it counts as there.
      holds: async (spec) =>
        !this.#answers(spec.machine) || (!this.unmounted.has(spec.name) && (await local.holds(spec))),
      remove: async (spec) => {
        this.#expect(spec.machine)
        await local.remove(spec)
      },
      find: async (spec, last) => {
        const found = await local.find(spec, last)
        if (!this.#answers(spec.machine)) return new DoubtfulProcess(last.pid ?? 0, true, this.#reachOf(spec, local))
        return found === undefined ? undefined : new DoubtfulProcess(found.pid, true, this.#reachOf(spec, local))
      },
      spawn: async (spec, ...how) => {
        this.#expect(spec.machine)
        const { pid } = await local.spawn(spec, ...how)
        return new DoubtfulProcess(pid, false, this.#reachOf(spec, local))
      },
      freeAddress: async (machine, place) => {
        this.#expect(machine)
        return local.freeAddress(machine, place)
      },
    }
  }

  #places(machine: string) {
    return [...this.world.data.values()].map(({ spec }) => spec).filter((spec) => spec.machine === machine)
  }

  #answers(machine: string): boolean {
    return !this.#silent.has(machine) && this.all.some(({ name }) => name === machine)
  }

  #expect(machine: string): void {
    if (!this.#answers(machine)) throw new OutOfReach(`machine ${machine} does not answer`)
  }

  #reachOf(spec: NodeSpec, local: Driver): Reach {
    return {
      trouble: () => (this.#answers(spec.machine) ? undefined : `machine ${spec.machine} does not answer`),
      back: () => this.#changes.until(() => this.#answers(spec.machine), forEver),
      find: () => local.find(spec, { address: '' }),
    }
  }
}

interface Reach {
  trouble(): string | undefined
  /** Done when the machine answers. */
  back(): Promise<void>
  find(): Promise<NodeProcess | undefined>
}

/** As drivers/remote-process.ts: while its machine is silent nothing is known of it, and who kills it then loses hope. */
class DoubtfulProcess implements NodeProcess {
  readonly exited: Promise<Exit>
  #end: (exit: Exit) => void = () => {}

  constructor(
    readonly pid: number,
    readonly adopted: boolean,
    private readonly reach: Reach,
  ) {
    this.exited = new Promise((resolve) => {
      this.#end = resolve
    })
    void this.#watch()
  }

  doubt(): string | undefined {
    return this.reach.trouble()
  }

  check(): void {}

  forget(): void {}

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    const trouble = this.reach.trouble()
    if (trouble === undefined) void this.reach.find().then((process) => process?.signal(signal))
    else if (signal === 'SIGKILL') this.#end({ lastWords: `${trouble}; it may run on there` })
  }

  async #watch(): Promise<void> {
    await this.reach.back()
    const process = await this.reach.find()
    const exit = process?.pid === this.pid ? await process.exited : {}
    // It may be that it went with its machine.
    await this.reach.back()
    this.#end(exit)
  }
}
