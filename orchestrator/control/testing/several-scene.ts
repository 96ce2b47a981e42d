import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import { seededRng } from '../../core/rng.js'
import { UnavailableError } from '../../errors/index.js'
import type { Situation } from '../../wire/standby.js'
import { DataDirectory } from '../data-directory.js'
import type { Driver } from '../drivers/driver.js'
import { Orchestrator, type OrchestratorOptions } from '../orchestrator.js'
import type { PeerLinks } from '../peers.js'
import { Registry } from '../registry.js'
import type { FakeWorld } from './fake-world.js'
import { never, type Pass } from './scale-scene.js'
import { ScaledClock } from './scaled-clock.js'

// Several orchestrators around the nodes of one fake world, which reach each other by calls.

/** One of them, with what a test can do to it. */
export interface Member {
  readonly address: string
  readonly pid: number
  readonly clock: ScaledClock
  /** Awaited before everything that it does to the world. */
  pass: Pass
  orchestrator: Orchestrator | undefined
  /** Aborted when nobody hears of it any more; another one when they do again. */
  gone: AbortController
}

export class Several {
  readonly members: Member[] = []
  /** What the members have told, with their pids. */
  readonly told: { readonly pid: number; readonly name: string; readonly event: unknown }[] = []

  constructor(
    private readonly folder: string,
    private readonly world: FakeWorld,
    private readonly driverOf: (pass: Pass) => Driver = (pass) => world.driver(pass),
    /** How many times as fast as the machine's their clocks go. */
    private readonly speed = 100,
  ) {}

  async found(shards: number, partitionsPerMoveMax: number, replicas = 1): Promise<Member> {
    const member = this.#member()
    const options = { ...this.#options(member, partitionsPerMoveMax), shape: { shards, replicas } }
    member.orchestrator = await Orchestrator.found(options, never)
    member.orchestrator.listens(member.address)
    // As the node itself does it: by this it is known whose the data directory is.
    const { clusterId } = member.orchestrator.maps.current()
    const directory = join(this.folder, 'meta', 'node-1')
    mkdirSync(directory, { recursive: true })
    const identity = { cluster: clusterId, node: this.world.data.get('meta/node-1')?.id }
    writeFileSync(join(directory, 'identity.json'), JSON.stringify(identity))
    return member
  }

  async join(via: Member, partitionsPerMoveMax: number, folder = this.folder): Promise<Member> {
    const member = this.#member()
    const options = { ...this.#options(member, partitionsPerMoveMax), directory: new DataDirectory(folder) }
    member.orchestrator = await Orchestrator.join(options, [via.address], never)
    member.orchestrator.listens(member.address)
    return member
  }

  /** Without anybody to join: on this folder, which may hold what an orchestrator before it has left. */
  async again(folder: string): Promise<Member> {
    const member = this.#member()
    const options = { ...this.#options(member, 1024), directory: new DataDirectory(folder) }
    member.orchestrator = await Orchestrator.found(options, never)
    member.orchestrator.listens(member.address)
    return member
  }

  #member(): Member {
    const pid = this.members.length + 1
    const member: Member = {
      address: `gateway-${pid}:1`,
      pid,
      clock: new ScaledClock(this.speed),
      pass: async () => {},
      orchestrator: undefined,
      gone: new AbortController(),
    }
    this.members.push(member)
    return member
  }

  #options(member: Member, partitionsPerMoveMax: number): OrchestratorOptions {
    const pass: Pass = (what) => member.pass(what)
    return {
      directory: new DataDirectory(this.folder),
      shape: {},
      driver: this.driverOf(pass),
      links: this.world.links(pass),
      peers: this.#peers(),
      telemetry: {
        emit: (name, event) => void this.told.push({ pid: member.pid, name, event }),
        enabled: () => false,
      },
      clock: member.clock,
      rng: seededRng(member.pid),
      pid: member.pid,
      startTimeoutMs: 6_000_000,
      stopTimeoutMs: 1_000,
      lingerMs: 100,
      partitionsPerMoveMax,
    }
  }

  #peers(): PeerLinks {
    const reach = (address: string) => {
      const member = this.members.find((one) => one.address === address)
      if (member?.orchestrator === undefined || member.gone.signal.aborted) throw nobody()
      return { control: member.orchestrator.control, standby: member.orchestrator.standby, gone: member.gone.signal }
    }
    return {
      standBy: async function* (address, who, signal): AsyncGenerator<Situation> {
        const { standby, gone } = reach(address)
        for await (const situation of standby.standBy(who, AbortSignal.any([signal, gone]))) yield situation
        if (gone.aborted) throw nobody()
      },
      control: (address) => ({
        status: () => reach(address).control.status(),
        scale: async (shards, { dryRun }) => reach(address).control.scale(shards, dryRun),
        replicas: async (replicas, { dryRun }) => reach(address).control.replicas(replicas, dryRun),
        replaceNode: async (node) => reach(address).control.replaceNode(node),
        drain: async (order) => reach(address).control.drain(order),
        restart: async (node) => reach(address).control.restart(node),
        upgrade: async (program) => reach(address).control.upgrade(program),
        deletePrefix: async (prefix, { all }) => reach(address).control.deletePrefix(prefix, all),
        operations: () => reach(address).control.operations(),
        steer: async (id, steer) => reach(address).control.steer(id, steer),
        watch: async function* (id, signal) {
          const { control, gone } = reach(address)
          yield* control.watch(id, AbortSignal.any([signal, gone]))
          if (gone.aborted) throw nobody()
        },
        close: () => {},
      }),
    }
  }
}

function nobody(): UnavailableError {
  return new UnavailableError('nobody listens', { outcome: 'not-applied' })
}

const WRITES = ['setCluster', 'setNodes', 'setGroup', 'setMap', 'setBases', 'forgetGroup', 'forgetNode'] as const

/** The registries that the first member opens; everything that is written there is an effect, as those on the world. */
export function registriesOfFirst(several: Several): Registry[] {
  const registries: Registry[] = []
  const real = Registry.open.bind(Registry)
  vi.spyOn(Registry, 'open').mockImplementation(async (...args) => {
    const registry = await real(...args)
    if (args[1] !== 1) return registry
    registries.push(registry)
    for (const name of WRITES) {
      const write = registry[name].bind(registry) as (value: unknown) => Promise<void>
      vi.spyOn(registry, name).mockImplementation(async (value: unknown) => {
        await several.members[0]?.pass(name)
        await write(value)
      })
    }
    return registry
  })
  return registries
}

/** Freezes everything of a member, for ever, and frees its lock, as the kernel does when a process dies. */
export async function die(member: Member, registries: readonly Registry[]): Promise<void> {
  member.pass = () => new Promise(() => {})
  member.clock.stop()
  member.gone.abort()
  await Promise.all(registries.map((registry) => registry.close()))
}

export function of({ orchestrator }: Member): Orchestrator {
  if (orchestrator === undefined) throw new TypeError('it has not started')
  return orchestrator
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await holds(), what).toBe(true), { timeout: 20_000, interval: 5 })
}

export async function stop(member: Member) {
  await of(member).retire(never.forced)
  return of(member).stop(never.forced)
}
