import { setMaxListeners } from 'node:events'
import { type Clock, systemClock } from '../../core/clock.js'
import type { NodeInfo } from '../../core/topology.js'
import { KvError } from '../../errors/index.js'
import type { Telemetry } from '../../telemetry/index.js'
import { AgentClient, type Authority, type DescribeResponse } from '../../wire/agent.js'
import { Changes } from '../changes.js'
import { type NodePlace, nodeName } from '../data-directory.js'
import { OutOfReach, StartFault } from '../faults.js'
import { type Machine, THIS_MACHINE } from '../machines.js'
import { AgentLink } from './agent-link.js'
import type { Driver, LastSeen, NodeProcess, NodeSpec } from './driver.js'
import { type Reach, RemoteProcess } from './remote-process.js'
import type { NodeSettings } from './settings.js'

export interface AgentDriverOptions {
  /** host:port of each agent. */
  readonly agents: readonly string[]
  readonly settings: NodeSettings
  readonly telemetry: Telemetry
  readonly clock?: Clock
}

/** How long agents that have not answered yet are waited for. */
const PATIENCE_MS = 5_000
/** The same, for what goes on without the answer. */
const SHORT_PATIENCE_MS = 1_500

/** Nodes on other machines, each with an agent. A machine that does not answer decides nothing: its nodes are in doubt. */
export function agentDriver(options: AgentDriverOptions): Driver {
  return new AgentDriver(options)
}

class AgentDriver implements Driver {
  readonly #links: readonly AgentLink[]
  readonly #changes = new Changes()
  readonly #closed = new AbortController()
  readonly #clock: Clock
  /** In whose name orders are given. Agents refuse a smaller term than the greatest that they have seen; 0: before the first. */
  #term = 0n
  readonly roams = true
  readonly program = 'the node program of its agent'

  constructor(private readonly options: AgentDriverOptions) {
    this.#clock = options.clock ?? systemClock
    // Every process of every node waits for it.
    setMaxListeners(0, this.#closed.signal)
    // Deadlines are gRPC's, by the machine's clock.
    const open = (address: string) => new AgentClient(address)
    const changed = (link: AgentLink) => this.#changed(link)
    this.#links = options.agents.map((address) => {
      const objection = (about: DescribeResponse) => this.#objection(address, about)
      return new AgentLink(address, { open, clock: this.#clock, objection, changed })
    })
  }

  /** Each agent checks its own program. Throws a StartFault for any other. */
  check(program?: string): void {
    if (program !== undefined) throw otherProgram()
  }

  /** What each agent would start is known there only. */
  build(): Promise<string> {
    return Promise.resolve('')
  }

  inspect(): Promise<never> {
    return Promise.reject(otherProgram())
  }

  lead(term: number): void {
    this.#term = BigInt(term)
  }

  async machines(wanted: number): Promise<readonly Machine[]> {
    // One that has been silent for as long already has been waited for.
    const all = () => this.#links.every((link) => isThere(link) || link.silentMs >= PATIENCE_MS) || undefined
    await this.#eventually(all, PATIENCE_MS)
    const [there, absent] = [this.#links.filter(isThere), this.#links.filter((link) => !isThere(link))]
    const enough = Math.min(wanted, this.#links.length)
    if (there.length < enough) {
      const why = absent.map(({ address, trouble }) => `${address} (${trouble})`).join(', ')
      throw new StartFault(
        `new nodes need ${enough} machines, and ${there.length} of ${this.#links.length} agents answer: start ` +
          `kvorum agent there, or leave it out of --agents: ${why}`,
      )
    }
    return there.map(({ about }) => ({ name: about?.name ?? '', zone: about?.zone ?? '' }))
  }

  answers(machine: string): boolean {
    return this.#linkOf(machine)?.client !== undefined
  }

  zoneOf(machine: string): string | undefined {
    return this.#linkOf(machine)?.about?.zone
  }

  directoryOf(place: NodePlace, machine: string): string {
    if (machine !== THIS_MACHINE) return nodeName(place)
    throw new StartFault(`${nodeName(place)} is a node of this machine: start it with --driver local`)
  }

  /** Each agent looks for itself, when it is to begin a node. */
  expectRoom(): void {}

  async holds(spec: NodeSpec): Promise<boolean> {
    const client = await this.#clientOf(spec.machine, SHORT_PATIENCE_MS)
    try {
      return (await client?.holds(this.#authority(spec), placeOf(spec))) ?? true
    } catch (error) {
      if (isSilence(error)) return true
      throw faultOf(spec.machine, error)
    }
  }

  async remove(spec: NodeSpec): Promise<void> {
    await this.#ask(spec.machine, (client) => client.remove(this.#authority(spec), placeOf(spec)))
  }

  async find(spec: NodeSpec, { address, pid = 0 }: LastSeen): Promise<NodeProcess | undefined> {
    const client = await this.#clientOf(spec.machine, SHORT_PATIENCE_MS)
    try {
      const request = { authority: this.#authority(spec), place: placeOf(spec), address, pid }
      const found = (await client?.find(request)) ?? pid
      if (client !== undefined && found === 0) return undefined
      return this.#process(spec, address, found, { adopted: true, isSeen: client !== undefined })
    } catch (error) {
      if (!isSilence(error)) throw faultOf(spec.machine, error)
      // Whether it runs is asked again when the agent is back.
      this.#linkOf(spec.machine)?.check()
      return this.#process(spec, address, pid, { adopted: true, isSeen: false })
    }
  }

  async spawn(spec: NodeSpec, address: string, peers: readonly NodeInfo[]): Promise<NodeProcess> {
    const { ofNodes } = spec
    const { settings } = this.options
    const request = { authority: this.#authority(spec), place: placeOf(spec), address, ofNodes, settings }
    const known = peers.map(({ id, address: at }) => ({ id, address: at }))
    const pid = await this.#ask(spec.machine, (client) => client.spawn({ ...request, peers: known }))
    return this.#process(spec, address, pid, { adopted: false, isSeen: true })
  }

  freeAddress(machine: string, place: NodePlace): Promise<string> {
    return this.#ask(machine, (client) => client.freeAddress(placeOf(place)))
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.all(this.#links.map((link) => link.close()))
  }

  #process(
    spec: NodeSpec,
    address: string,
    pid: number,
    { adopted, isSeen }: { readonly adopted: boolean; readonly isSeen: boolean },
  ): NodeProcess {
    const { machine } = spec
    const reach: Reach = {
      client: (signal) => this.#until(() => this.#linkOf(machine)?.client, signal),
      trouble: () => this.#troubleOf(machine),
      check: () => this.#linkOf(machine)?.check(),
      authority: () => this.#authority(spec),
      clock: this.#clock,
    }
    return new RemoteProcess({ place: placeOf(spec), pid, address }, adopted, isSeen, reach, this.#closed.signal)
  }

  #authority({ clusterId }: NodeSpec): Authority {
    return { clusterId, term: this.#term }
  }

  #linkOf(machine: string): AgentLink | undefined {
    return this.#links.find(({ about }) => about?.name === machine)
  }

  #troubleOf(machine: string): string | undefined {
    const link = this.#linkOf(machine)
    if (link === undefined) return `no agent of --agents has said that it is machine ${machine}`
    return link.trouble === undefined
      ? undefined
      : `the agent of machine ${machine} (${link.address}) does not answer: ${link.trouble}`
  }

  /** Nodes are recorded by the names of machines: two of one name would be taken for each other. */
  #objection(address: string, { name }: DescribeResponse): string | undefined {
    const other = this.#links.find((link) => link.address !== address && link.about?.name === name && isThere(link))
    return other === undefined ? undefined : `it says that it is machine ${name}, as ${other.address} does`
  }

  async #ask<T>(machine: string, question: (client: AgentClient) => Promise<T>): Promise<T> {
    const client = await this.#clientOf(machine, PATIENCE_MS)
    if (client === undefined) throw new OutOfReach(this.#troubleOf(machine) ?? `machine ${machine} does not answer`)
    try {
      return await question(client)
    } catch (error) {
      throw faultOf(machine, error)
    }
  }

  #clientOf(machine: string, patienceMs: number): Promise<AgentClient | undefined> {
    return this.#eventually(() => this.#linkOf(machine)?.client, patienceMs)
  }

  /** What `look` gives, or undefined if it gives nothing for so long. */
  async #eventually<T>(look: () => T | undefined, patienceMs: number): Promise<T | undefined> {
    const over = new AbortController()
    const timer = this.#clock.setTimeout(() => over.abort(), patienceMs)
    try {
      return await this.#until(look, over.signal)
    } catch {
      return undefined
    } finally {
      timer.cancel()
    }
  }

  /** What `look` gives as soon as it gives anything. Rejects when `signal` is aborted, or the driver is closed. */
  async #until<T>(look: () => T | undefined, signal: AbortSignal): Promise<T> {
    const either = AbortSignal.any([signal, this.#closed.signal])
    for (;;) {
      either.throwIfAborted()
      const found = look()
      if (found !== undefined) return found
      await this.#changes.next(either)
    }
  }

  #changed({ address, about, trouble }: AgentLink): void {
    const { name = '', zone = '' } = about ?? {}
    if (trouble === undefined) this.options.telemetry.emit('machine.answers', { machine: name, zone, address })
    else this.options.telemetry.emit('machine.silent', { machine: name, address, reason: trouble })
    this.#changes.tell()
  }
}

function otherProgram(): StartFault {
  return new StartFault(
    'agents start the node program that is installed beside them: install the new version on each machine, ' +
      'then kvorum restart --rolling',
  )
}

function isThere({ client }: AgentLink): boolean {
  return client !== undefined
}

function placeOf({ shard, index }: NodePlace): NodePlace {
  return { shard, index }
}

/** Whether nobody knows what has become of a question. */
function isSilence(error: unknown): boolean {
  return error instanceof KvError && ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED'].includes(error.code)
}

function faultOf(machine: string, error: unknown): unknown {
  if (!(error instanceof KvError)) return error
  const Fault = isSilence(error) ? OutOfReach : StartFault
  return new Fault(`machine ${machine}: ${error.message}`, { cause: error })
}
