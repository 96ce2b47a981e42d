// A real cluster: the orchestrator's main in a process of its own, its nodes in theirs, data in a temporary folder.
// Whatever a test breaks, dispose() leaves no process and no file.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClusterMap } from '../../orchestrator/core/topology.js'
import type { Disk } from './disk.js'
import { nodeProgram } from './node-program.js'
import { type Ended, Program, processesOf, type Running, signal } from './process.js'
import { ROOT } from './root.js'
import { handOver, lookAt, type NodeView, readMap } from './status.js'
import { until, within } from './wait.js'

export interface ClusterOptions {
  readonly shards?: number
  readonly replicas?: number
  /** More flags for the orchestrator. */
  readonly args?: readonly string[]
  /** Puts disks of their own into the data folder before anything is started. They are detached at the end. */
  readonly disks?: (data: string) => readonly Disk[]
  /** More flags for the nodes. */
  readonly nodeFlags?: readonly string[]
  /** Its processes end with ours, also by kill -9. */
  readonly endsWithUs?: boolean
}

const READY = /^kvorum ready grpc=(\S+) http=(\S+) shards=(\d+) replicas=(\d+) data=(.+)$/
const READY_MS_MAX = 60_000
const STOP_MS_MAX = 20_000
const SETTLED_MS_MAX = 30_000
const BEHIND_MAX = 200n
const LOG_LENGTH_MAX = 1 << 20

export class Cluster {
  readonly data: string
  readonly #options: ClusterOptions
  readonly #args: readonly string[]
  readonly #disks: readonly Disk[]
  /** Beside the data: what the test itself needs. */
  readonly #aside: string
  readonly #reaper: Program | undefined
  #orchestrator: Program
  #address = ''
  #httpAddress = ''
  /** Of orchestrators that have ended. */
  #log = ''

  /** A cluster that is ready to serve. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(mkdtempSync(join(tmpdir(), 'kvorum-test-')), options)
    open.add(cluster)
    try {
      await cluster.#ready()
      return cluster
    } catch (error) {
      await cluster.dispose()
      throw error
    }
  }

  private constructor(data: string, options: ClusterOptions) {
    this.data = data
    this.#options = options
    this.#disks = options.disks?.(data) ?? []
    this.#aside = mkdtempSync(`${data}-aside-`)
    const { args = [], nodeFlags } = options
    this.#args = nodeFlags === undefined ? args : [...args, '--kvnode', nodeProgram(this.#aside, nodeFlags)]
    this.#reaper = options.endsWithUs === true ? startReaper(data) : undefined
    this.#orchestrator = this.spawn()
  }

  /** host:port of the gateway. It stays the same over restarts. */
  get address(): string {
    return this.#address
  }

  /** The same for HTTP/JSON. */
  get httpAddress(): string {
    return this.#httpAddress
  }

  get orchestrator(): Program {
    return this.#orchestrator
  }

  /** What its orchestrators have said on stderr, the end of it. */
  get log(): string {
    return `${this.#log}${this.#orchestrator.stderr}`
  }

  /** One more orchestrator on this data; most tests want that to fail. */
  spawn({ port = '0', shards = this.#options.shards ?? 3, replicas = this.#options.replicas ?? 3 } = {}): Program {
    const flags = { port, shards, replicas, data: this.data }
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
    return startOrchestrator([...args, ...this.#args])
  }

  /** Starts the orchestrator again, on the same ports and data, and whatever shape that has by now. */
  async restart(): Promise<void> {
    if (this.#orchestrator.running) throw new TypeError('the orchestrator still runs')
    this.#log = `${this.log}\n`.slice(-LOG_LENGTH_MAX)
    const ports = ['--port', portOf(this.#address), '--http-port', portOf(this.#httpAddress)]
    this.#orchestrator = startOrchestrator([...ports, '--data', this.data, ...this.#args])
    await this.#ready()
  }

  map(): Promise<ClusterMap> {
    return readMap(this.#address)
  }

  /** The nodes of a shard that answer now. */
  async nodesOf(shard: number): Promise<NodeView[]> {
    const found = (await this.map()).shards.find((one) => one.id === shard)
    if (found === undefined) throw new TypeError(`no shard ${shard}`)
    return lookAt(shard, found.nodes)
  }

  /** The leader of a shard, waited for until it serves. Of two that think they lead the newer term counts. */
  leaderOf(shard: number): Promise<NodeView> {
    return until(`a leader of shard ${shard}`, async () =>
      newest((await this.nodesOf(shard)).filter((one) => one.ready)),
    )
  }

  /** Where a node of a shard, counted from 1, has its data. */
  directoryOf(shard: number, index: number): string {
    return join(this.data, `shard-${shard}`, `node-${index}`)
  }

  /** The node of a shard whose data is in this place, waited for until it serves. */
  nodeAt(shard: number, index: number): Promise<NodeView> {
    return until(`node ${index} of shard ${shard} to serve`, async () =>
      (await this.nodesOf(shard)).find((node) => node.serving && node.directory === this.directoryOf(shard, index)),
    )
  }

  /** Makes this node the leader of its shard. */
  async moveLeaderTo(node: NodeView): Promise<NodeView> {
    return until(`${node.id} to lead shard ${node.shard}`, async () => {
      const leader = await this.leaderOf(node.shard)
      if (leader.id === node.id) return leader
      await handOver(leader, node)
      return undefined
    })
  }

  async followersOf(shard: number): Promise<NodeView[]> {
    const leader = await this.leaderOf(shard)
    return (await this.nodesOf(shard)).filter((node) => node.id !== leader.id)
  }

  /** Waits until every node of every shard serves, and follows a leader that it is not behind. */
  async settled(): Promise<void> {
    for (const { id, nodes } of (await this.map()).shards) {
      await until(
        `every node of shard ${id} to serve and to have caught up`,
        async () => mustBeSettled(await this.nodesOf(id), nodes.length),
        SETTLED_MS_MAX,
      )
    }
  }

  /** Every process that belongs to this cluster's data. */
  processes(): Running[] {
    return processesOf(this.data)
  }

  nodeProcesses(): Running[] {
    return this.processes().filter((one) => one.command.includes('kvnode'))
  }

  /** SIGINT, as a person at the keyboard gives it. */
  async stop(how: NodeJS.Signals = 'SIGINT'): Promise<Ended> {
    this.#orchestrator.signal(how)
    return within('stopping the orchestrator', STOP_MS_MAX, this.#orchestrator.ended)
  }

  /** Ends everything by force and removes the data. */
  async dispose(): Promise<void> {
    open.delete(this)
    // Nobody who waits for a frozen disk can be killed.
    for (const disk of this.#disks) disk.thaw()
    try {
      this.killAll()
      await within('the orchestrator to be gone', STOP_MS_MAX, this.#orchestrator.ended)
      await until('every node to be gone', () => this.processes().length === 0)
    } finally {
      for (const disk of this.#disks) disk.detach()
    }
    this.#reaper?.endInput()
    await this.#reaper?.ended
    for (const folder of [this.data, this.#aside]) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** SIGKILL ends a stopped process as well. The orchestrator goes first: it would start the nodes again. */
  killAll(): void {
    if (this.#orchestrator.running) this.#orchestrator.signal('SIGKILL')
    for (const one of this.processes()) signal(one.pid, 'SIGKILL')
  }

  async #ready(): Promise<void> {
    const [, address = '', httpAddress = ''] = await this.#orchestrator.line(READY, READY_MS_MAX)
    this.#address = address
    this.#httpAddress = httpAddress
  }
}

function portOf(address: string): string {
  return address.split(':').at(-1) ?? '0'
}

/** The orchestrator's main, built. `npm test` and `npm run bench` build before they come here. */
export function startOrchestrator(args: readonly string[]): Program {
  return new Program([process.execPath, join(ROOT, 'dist/orchestrator/main.js'), ...args])
}

/** Not by its command line: it would be taken for one of the cluster's own. */
export function startReaper(data: string): Program {
  const reaper = new Program([process.execPath, join(ROOT, 'dist/test/harness/reaper.js')], {
    input: true,
    detached: true,
  })
  reaper.say(data)
  return reaper
}

/** The last net: a test run that dies on the way takes its clusters with it. */
const open = new Set<Cluster>()
process.once('exit', () => {
  for (const cluster of open) cluster.killAll()
})

export function newest(leaders: readonly NodeView[]): NodeView | undefined {
  return leaders.reduce<NodeView | undefined>((best, one) => (best && best.term >= one.term ? best : one), undefined)
}

/** Throws with what is missing. Under load a follower is always a moment behind: a few entries do not count. */
export function mustBeSettled(nodes: readonly NodeView[], expected: number): true {
  const leader = newest(nodes.filter((node) => node.ready))
  const good = (node: NodeView): boolean =>
    node.serving && node.term === leader?.term && node.applied + BEHIND_MAX >= leader.applied
  if (nodes.length === expected && nodes.every(good)) return true
  const seen = nodes.map(({ id, term, applied, leads, ready, serving }) =>
    [id, `term ${term}`, `applied ${applied}`, leads && 'leads', ready && 'ready', serving && 'serving'].filter(
      Boolean,
    ),
  )
  throw new Error(`${nodes.length} of ${expected} nodes answer: ${seen.map((words) => words.join(' ')).join('; ')}`)
}
