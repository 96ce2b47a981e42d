import { existsSync } from 'node:fs'
import type { DataDirectory } from '../control/data-directory.js'
import { nodeName } from '../control/data-directory.js'
import type { Driver, NodeProcess, NodeSpec } from '../control/drivers/driver.js'
import { flagsOf } from '../control/drivers/settings.js'
import { StartFault } from '../control/faults.js'
import { THIS_MACHINE } from '../control/machines.js'
import { Turns } from '../core/turns.js'
import { invalidArgument, PreconditionFailedError, WrongPeerError } from '../errors/index.js'
import type { Telemetry } from '../telemetry/index.js'
import {
  type AgentHandlers,
  type Authority,
  type DescribeResponse,
  type Exit,
  type FindRequest,
  type Place,
  type Process,
  Signal,
  type SignalRequest,
  type SpawnRequest,
  type WatchRequest,
} from '../wire/agent.js'
import type { AgentRecord } from './record.js'

export interface AgentOptions {
  readonly about: Pick<DescribeResponse, 'name' | 'zone' | 'version' | 'processors'>
  readonly directory: DataDirectory
  readonly record: AgentRecord
  /** Nodes on this machine, started with these flags. */
  readonly driver: (flags: readonly string[]) => Driver
  readonly telemetry: Telemetry
}

/** A process that is known, and which node it is. */
interface Held {
  readonly name: string
  readonly process: NodeProcess
}

/** So many ends are remembered, for those who could not listen when they came. */
const ENDS_MAX = 256

const SIGNALS: ReadonlyMap<Signal, 'SIGTERM' | 'SIGKILL'> = new Map([
  [Signal.TERMINATE, 'SIGTERM'],
  [Signal.KILL, 'SIGKILL'],
])

/** Starts, watches and ends nodes on this machine for the orchestrator of one cluster. It decides nothing by itself. */
export class Agent implements AgentHandlers {
  /** By pid. What runs and nobody has asked for since the agent was started is not here. */
  readonly #held = new Map<number, Held>()
  /** By node and pid; the oldest first. */
  readonly #ends = new Map<string, Exit>()
  /** One order after the other: when one of a greater term is answered, none of a smaller one has an effect any more. */
  readonly #turns = new Turns()
  /** Finds; what it is given to start is started by one with the cluster's flags. */
  readonly #driver: Driver

  constructor(private readonly options: AgentOptions) {
    this.#driver = options.driver([])
  }

  /** How many processes it knows of. */
  get running(): number {
    return this.#held.size
  }

  async describe(): Promise<DescribeResponse> {
    const { about, record, directory } = this.options
    const { clusterId = '', term } = record.allegiance
    return { ...about, clusterId, term, dataDir: directory.path }
  }

  async freeAddress(place: Place | undefined): Promise<string> {
    if (place === undefined) throw invalidArgument('a node is needed')
    return this.#driver.freeAddress(THIS_MACHINE, place)
  }

  async find({ authority, place, address, pid }: FindRequest): Promise<number> {
    const spec = this.#specOf(authority, place)
    await this.#inOrder(authority, async () => {})
    const known = [...this.#held.values()].find(({ name }) => name === spec.name)
    known?.process.check()
    if (known !== undefined) return known.process.pid
    const found = await this.#driver.find(spec, { address, pid: pid === 0 ? undefined : pid })
    if (found === undefined) return 0
    this.#hold(spec.name, found)
    return found.pid
  }

  async spawn({ authority, place, address, peers, ofNodes, settings }: SpawnRequest): Promise<number> {
    const spec = this.#specOf(authority, place, ofNodes)
    const { directory, driver, telemetry } = this.options
    if (settings === undefined) throw invalidArgument('settings are needed')
    return this.#inOrder(authority, async () => {
      await this.#join(spec.clusterId, authority?.term ?? 0n)
      const process = await explained(async () => {
        this.#driver.expectRoom([spec], directory)
        return driver(flagsOf(settings)).spawn(spec, address, peers)
      })
      this.#hold(spec.name, process)
      telemetry.emit('node.started', { node: spec.name, pid: process.pid, address })
      return process.pid
    })
  }

  async *watch({ authority, process }: WatchRequest, signal: AbortSignal): AsyncGenerator<Exit | undefined> {
    const spec = this.#specOf(authority, process?.place)
    this.#expectOurs(authority)
    const held = await this.#processOf(spec, process)
    if (held !== undefined) {
      yield undefined
      await Promise.race([held.exited, aborted(signal)])
    }
    if (!signal.aborted) yield this.#ends.get(endKey(spec.name, process?.pid ?? 0)) ?? UNSEEN
  }

  async signal({ authority, process, signal }: SignalRequest): Promise<void> {
    const spec = this.#specOf(authority, process?.place)
    const name = SIGNALS.get(signal)
    if (name === undefined) throw invalidArgument('a signal is needed')
    return this.#inOrder(authority, async () => {
      const held = await this.#processOf(spec, process)
      held?.signal(name)
    })
  }

  async holds(authority: Authority | undefined, place: Place | undefined): Promise<boolean> {
    const spec = this.#specOf(authority, place)
    this.#expectOurs(authority)
    return this.#driver.holds(spec)
  }

  async remove(authority: Authority | undefined, place: Place | undefined): Promise<void> {
    const spec = this.#specOf(authority, place)
    return this.#inOrder(authority, async () => {
      if (!existsSync(spec.directory)) return
      if (this.options.record.allegiance.clusterId === undefined) {
        throw new WrongPeerError(`${this.#name} belongs to no cluster yet: what is there is not ${spec.clusterId}'s`, {
          outcome: 'not-applied',
        })
      }
      if ([...this.#held.values()].some(({ name }) => name === spec.name)) {
        throw new PreconditionFailedError(`${spec.name} still runs`, { outcome: 'not-applied' })
      }
      await explained(() => this.#driver.remove(spec))
    })
  }

  /** The processes go on. */
  close(): void {
    for (const { process } of this.#held.values()) process.forget()
  }

  get #name(): string {
    return `the agent ${this.options.about.name}`
  }

  #specOf(authority: Authority | undefined, place: Place | undefined, ofNodes = 1): NodeSpec {
    const clusterId = authority?.clusterId ?? ''
    if (clusterId === '' || place === undefined || place.index < 1)
      throw invalidArgument('a cluster and a node are needed')
    const directory = this.options.directory.node(place)
    return { ...place, name: nodeName(place), clusterId, machine: THIS_MACHINE, directory, ofNodes }
  }

  /** Runs an order when all before it are done, unless it is not one that this agent obeys. */
  #inOrder<T>(authority: Authority | undefined, order: () => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      await this.#obey(authority)
      return order()
    })
  }

  async #obey(authority: Authority | undefined): Promise<void> {
    this.#expectOurs(authority)
    const { record } = this.options
    const { clusterId, term } = record.allegiance
    const given = authority?.term ?? 0n
    if (given < term) {
      const why = `${this.#name} has had an order of term ${term}: the orchestrator of term ${given} has a successor`
      throw new PreconditionFailedError(why, { outcome: 'not-applied' })
    }
    if (given > term && clusterId !== undefined) await record.set({ clusterId, term: given })
  }

  #expectOurs(authority: Authority | undefined): void {
    const { clusterId } = this.options.record.allegiance
    if (clusterId === undefined || clusterId === authority?.clusterId) return
    const why = `${this.#name} belongs to cluster ${clusterId}, not to ${authority?.clusterId}: its --data is that cluster's`
    throw new WrongPeerError(why, { outcome: 'not-applied' })
  }

  /** From the first node on it is that cluster's for ever. */
  async #join(clusterId: string, term: bigint): Promise<void> {
    const { record } = this.options
    if (record.allegiance.clusterId === undefined) await record.set({ clusterId, term })
  }

  /** Undefined when it is gone. One that an agent before this one has started is adopted. */
  async #processOf(spec: NodeSpec, process: Process | undefined): Promise<NodeProcess | undefined> {
    const { pid = 0, address = '' } = process ?? {}
    const held = this.#held.get(pid)
    if (held?.name === spec.name) return held.process
    if (pid === 0 || this.#ends.has(endKey(spec.name, pid))) return undefined
    const found = await this.#driver.find(spec, { address, pid })
    return found?.pid === pid ? this.#hold(spec.name, found) : undefined
  }

  /** Whoever asks for it at the same time gets the same one. */
  #hold(name: string, process: NodeProcess): NodeProcess {
    const known = this.#held.get(process.pid)
    if (known?.name === name) {
      process.forget()
      return known.process
    }
    const held = { name, process }
    this.#held.set(process.pid, held)
    void process.exited.then(({ code, signal = '', lastWords = '' }) => {
      if (this.#held.get(process.pid) === held) this.#held.delete(process.pid)
      this.#ends.set(endKey(name, process.pid), { code, signal, lastWords })
      for (const oldest of [...this.#ends.keys()].slice(0, Math.max(0, this.#ends.size - ENDS_MAX))) {
        this.#ends.delete(oldest)
      }
    })
    return process
  }
}

const UNSEEN: Exit = { signal: '', lastWords: '' }

function endKey(name: string, pid: number): string {
  return `${name} ${pid}`
}

/** What the system does not allow is told to whoever gave the order. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StartFault) throw new PreconditionFailedError(error.message, { outcome: 'not-applied' })
    throw error
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
