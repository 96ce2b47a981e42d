// A cluster over hosts of its own: an agent on each machine, orchestrators on other hosts.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClusterMap } from '../../orchestrator/core/topology.js'
import { mustBeSettled, newest, startReaper } from '../harness/cluster.js'
import { type Host, Hosts } from '../harness/hosts.js'
import { type Ended, type Program, processesOf, type Running, signal } from '../harness/process.js'
import { ROOT } from '../harness/root.js'
import { lookAt, type NodeView, readMap } from '../harness/status.js'
import { until, within } from '../harness/wait.js'

const CONTROL = 'control'
/** Where one more orchestrator can run, which has a data directory of its own. */
const OTHER = 'other'
const READY_MS_MAX = 60_000
const END_MS_MAX = 20_000
const SETTLED_MS_MAX = 30_000
const AGENT_PORT = 7100
/** A machine that is gone is noticed, and its nodes are replaced one at a time. */
const REPLACED_MS_MAX = 120_000

export interface HostedOptions {
  readonly machines: readonly string[]
  readonly shards: number
  readonly replicas: number
  /** More flags of the orchestrator. */
  readonly flags?: readonly string[]
  /** The node program of the agents. Default: the one that was built. */
  readonly kvnode?: string
}

export interface Joined {
  readonly program: Program
  readonly address: string
  /** As it said itself when it was ready. */
  readonly role: string
}

export class HostedCluster {
  readonly #agents = new Map<string, Program>()
  readonly #others: Program[] = []
  #orchestrator: Program | undefined
  #address = ''

  static async start({ machines, shards, replicas, flags = [], kvnode }: HostedOptions): Promise<HostedCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'kvorum-hosts-'))
    const cluster = new HostedCluster(
      folder,
      startReaper(folder),
      await Hosts.open([CONTROL, OTHER, ...machines]),
      machines,
      kvnode,
    )
    try {
      await Promise.all(machines.map((name) => cluster.startAgent(name)))
      await cluster.startOrchestrator(['--shards', `${shards}`, '--replicas', `${replicas}`, ...flags])
      return cluster
    } catch (error) {
      await cluster.dispose()
      throw error
    }
  }

  private constructor(
    private readonly folder: string,
    private readonly reaper: Program,
    private readonly hosts: Hosts,
    readonly machines: readonly string[],
    private readonly kvnode: string | undefined,
  ) {}

  /** host:port of the gateway. */
  get address(): string {
    return this.#address
  }

  get log(): string {
    return this.#orchestrator?.stderr ?? ''
  }

  host(name: string): Host {
    return this.hosts.host(name)
  }

  async startOrchestrator(flags: readonly string[] = []): Promise<void> {
    this.#orchestrator = this.#launch(CONTROL, flags)
    const [, address = ''] = await this.#orchestrator.line(/^kvorum ready grpc=(\S+) /, READY_MS_MAX)
    this.#address = address
  }

  /** One more, on a host and with a data directory of its own, when it serves. Ends with the cluster. */
  async joinOther(): Promise<Joined> {
    const program = this.#launch(OTHER, ['--join', this.#address])
    this.#others.push(program)
    const [, address = '', role = ''] = await program.line(
      /^kvorum ready grpc=(\S+) http=\S+ shards=\d+ replicas=\d+ role=(\w+) /,
      READY_MS_MAX,
    )
    return { program, address, role }
  }

  #launch(name: string, flags: readonly string[]): Program {
    const host = this.host(name)
    const agents = this.machines.map((machine) => `${this.host(machine).address}:${AGENT_PORT}`).join(',')
    const where = ['--data', join(this.folder, name), '--host', host.address, '--port', '7000', '--insecure']
    // As short as it may be: the default deadline of calls.
    const lingers = ['--linger-ms', '5000']
    const program = join(ROOT, 'dist/orchestrator/main.js')
    return host.start([
      process.execPath,
      program,
      '--driver',
      'agent',
      '--agents',
      agents,
      ...where,
      ...lingers,
      ...flags,
    ])
  }

  async startAgent(name: string): Promise<void> {
    const host = this.host(name)
    const where = [
      '--listen',
      `${host.address}:${AGENT_PORT}`,
      '--insecure',
      '--data',
      this.dataOf(name),
      '--name',
      name,
      ...(this.kvnode === undefined ? [] : ['--kvnode', this.kvnode]),
    ]
    const agent = host.start([process.execPath, join(ROOT, 'dist/orchestrator/cli/main.js'), 'agent', ...where])
    this.#agents.set(name, agent)
    await agent.line(/^kvorum agent ready /, READY_MS_MAX)
  }

  /** As if it had crashed: its nodes go on. */
  async killAgent(name: string): Promise<void> {
    const agent = this.#agents.get(name)
    agent?.signal('SIGKILL')
    await agent?.ended
  }

  async killOrchestrator(): Promise<void> {
    this.#orchestrator?.signal('SIGKILL')
    await this.#orchestrator?.ended
  }

  async stop(): Promise<Ended | undefined> {
    this.#orchestrator?.signal('SIGINT')
    const ended = this.#orchestrator?.ended
    return ended && within('stopping the orchestrator', END_MS_MAX, ended)
  }

  dataOf(machine: string): string {
    return join(this.folder, machine)
  }

  /** The node processes on a machine. */
  nodesOn(machine: string): Running[] {
    return processesOf(this.dataOf(machine)).filter(({ command }) => command.includes('kvnode --data'))
  }

  map(): Promise<ClusterMap> {
    return readMap(this.#address)
  }

  /** The machines of each shard's nodes, by the addresses in the map. */
  async places(): Promise<string[][]> {
    const names = new Map(this.hosts.all.map(({ name, address }) => [address, name]))
    const { shards } = await this.map()
    return shards.map(({ nodes }) => nodes.map(({ address }) => names.get(address.split(':')[0] ?? '') ?? address))
  }

  async views(): Promise<NodeView[][]> {
    const { shards } = await this.map()
    return Promise.all(shards.map(({ id, nodes }) => lookAt(id, nodes)))
  }

  /** Waits until every shard is led by a node on another machine than this one. */
  async ledWithout(machine: string): Promise<void> {
    const { address } = this.host(machine)
    await until(`every shard to be led without ${machine}`, async () =>
      (await this.views()).every((nodes) => {
        const others = nodes.filter((node) => !node.address.startsWith(`${address}:`))
        return newest(others.filter((node) => node.ready)) !== undefined
      }),
    )
  }

  /** Waits until the map has no node on the machine any more. */
  async leftBy(machine: string): Promise<void> {
    const has = async () => (await this.places()).flat().includes(machine)
    await until(`no shard to have a node on ${machine}`, async () => !(await has()), REPLACED_MS_MAX)
  }

  /** Waits until every node serves, and follows a leader that it is not behind. */
  async settled(replicas: number): Promise<void> {
    const all = async () => (await this.views()).every((nodes) => mustBeSettled(nodes, replicas))
    await until('every node to serve and to have caught up', all, SETTLED_MS_MAX)
  }

  /** Ends everything by force and removes the data. */
  async dispose(): Promise<void> {
    await this.killOrchestrator()
    for (const other of this.#others) {
      other.signal('SIGKILL')
      await other.ended
    }
    await Promise.all([...this.#agents.keys()].map((name) => this.killAgent(name)))
    await until('nobody to be left', () => {
      const left = processesOf(this.folder)
      for (const { pid } of left) signal(pid, 'SIGKILL')
      return left.length === 0
    })
    await this.hosts.close()
    this.reaper.endInput()
    await this.reaper.ended
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
