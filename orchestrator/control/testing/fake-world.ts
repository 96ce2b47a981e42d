import { setMaxListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { NodeInfo } from '../../core/topology.js'
import { UnavailableError } from '../../errors/index.js'
import { emptyStatus } from '../../wire/control.js'
import { type ImportOrder, type ImportResponse, type NodeStatus, Role, State } from '../../wire/node-admin.js'
import { aborted } from '../aborted.js'
import { localDirectories, makeNodeDirectory } from '../drivers/directories.js'
import type { Driver, Exit, NodeProcess, NodeSpec } from '../drivers/driver.js'
import { StartFault } from '../faults.js'
import type { KvLink, Links, NodeLink } from '../links.js'
import { THIS_MACHINE } from '../machines.js'
import { fakeImport, type ImportFaults } from './fake-import.js'
import { fakeKv, Rows } from './fake-kv.js'
import { fakeMemberCalls } from './fake-members.js'
import { expectOneOwner, type FakePartitions } from './fake-partitions.js'
import { type Data, newShard, type Running, type Shard } from './fake-shard.js'

/**
 * Nodes, their directories and their processes, in memory. They outlive the orchestrators of a test, as real ones do.
 * There are no election time-outs here: a shard gets a leader only by a hint.
 */
export class FakeWorld {
  readonly data = new Map<string, Data>()
  readonly running = new Set<Running>()
  readonly meta = new Rows()
  /** What the next processes of a node (by name) do instead of running. */
  readonly ends = new Map<string, Exit>()
  /** What processes of a program (by the name of its folder) do instead of running. */
  readonly broken = new Map<string, Exit>()
  /** Programs (by the name of its folder) of which no process can be made. */
  readonly unstartable = new Set<string>()
  /** Nodes (by name) that do not apply what their leader has committed. */
  readonly lagging = new Set<string>()
  /** How long appends take of nodes (by name), microseconds. */
  readonly appendUs = new Map<string, number>()
  /** The newest format that programs know which are taken in. The driver's own knows 1. */
  formatMax = 1
  /** Told of each process that ends, when it has. */
  ended: (process: Running) => void = () => {}
  /** Nodes (by name) that SIGTERM does not end. */
  readonly deaf = new Set<string>()
  /** Nodes (by name) whose machine is away: they cannot be told to end, and go on. */
  readonly away = new Set<string>()
  /** Nodes (by name) that say that they take their data from a peer. */
  readonly seeding = new Set<string>()
  /** Nodes (by name) that do not catch up. */
  readonly behind = new Set<string>()
  /** Addresses that are free next, before any others. */
  readonly nextFree: string[] = []
  /** Addresses that somebody else listens on. */
  readonly taken = new Set<string>()
  readonly imports: ImportFaults = { breaks: [], stalls: [], outlives: false, thaws: 0 }
  #shards = new Map<number, Shard>()
  #watchers = new Set<() => void>()
  #version = 0
  #pids = 1000
  #ports = 20_000

  shard(id: number): Shard {
    const found = this.#shards.get(id) ?? newShard((node) => this.#byId(node)?.gone === false)
    this.#shards.set(id, found)
    return found
  }

  process(name: string): Running | undefined {
    return [...this.running].find((one) => one.data.spec.name === name)
  }

  kill(name: string, exit: Exit = { signal: 'SIGKILL' }): void {
    const process = this.process(name)
    if (process !== undefined) this.#end(process, exit)
  }

  /** Its process goes on, but nobody gets an answer from it any more. */
  mute(name: string): void {
    const process = this.process(name)
    if (process !== undefined) process.gone = true
    this.#changed()
  }

  /** It answers again. */
  unmute(name: string): void {
    const process = this.process(name)
    if (process !== undefined) process.gone = false
    this.#changed()
  }

  /** Another node of the shard leads from now on. */
  depose(shard: number): void {
    const { leader } = this.shard(shard)
    const next = [...this.running].find((one) => one.data.spec.shard === shard && one !== leader && !one.gone)
    if (next !== undefined) this.#campaign(next)
  }

  /** Its nodes tell their status again. */
  kick(): void {
    this.#changed()
  }

  /** `pass` is awaited before everything that has an effect or is seen from outside. */
  driver(pass: (what: string) => Promise<void>): Driver {
    return {
      ...localDirectories,
      program: '/built/kvnode',
      check: () => {},
      build: async (program = '') => `build of ${basename(dirname(program))}`,
      inspect: async (program) => ({ version: readFileSync(program, 'utf8'), formatMax: this.formatMax }),
      machines: async () => [{ name: THIS_MACHINE, zone: THIS_MACHINE }],
      close: async () => {},
      remove: async (spec) => {
        await pass(`remove ${spec.name}`)
        await localDirectories.remove(spec)
      },
      freeAddress: async () => this.nextFree.shift() ?? `127.0.0.1:${this.#ports++}`,
      find: async (spec) => {
        await pass(`find ${spec.name}`)
        const found = this.process(spec.name)
        return found === undefined ? undefined : this.#processOf(found, true)
      },
      spawn: async (spec, address, peers, program) => {
        await pass(`spawn ${spec.name}`)
        makeNodeDirectory(spec)
        const name = program === undefined ? undefined : basename(dirname(program))
        if (this.unstartable.has(name ?? '')) throw new StartFault('cannot start it')
        return this.#processOf(this.#spawn(spec, address, peers, name), false)
      },
    }
  }

  links(pass: (what: string) => Promise<void>): Links {
    return { node: (address) => this.#nodeLink(address, pass), kv: (address) => this.#kvLink(address, pass) }
  }

  #spawn(spec: NodeSpec, address: string, peers: readonly NodeInfo[], program: string | undefined): Running {
    let end: (exit: Exit) => void = () => {}
    const exited = new Promise<Exit>((resolve) => {
      end = resolve
    })
    const data = this.data.get(spec.name) ?? this.#makeData(spec)
    const state = { gone: false, opening: true }
    const process: Running = { data, pid: this.#pids++, address, program, end, exited, peers, ...state }
    const listening = [...this.running].some((one) => one.address === address) || this.taken.has(address)
    const planned = this.ends.get(spec.name) ?? this.broken.get(program ?? '')
    if (planned !== undefined) end(planned)
    else if (this.process(spec.name) !== undefined) end({ code: 73 })
    else if (listening) end({ code: 69 })
    else {
      this.running.add(process)
      this.#changed()
      setImmediate(() => {
        process.opening = false
        this.#changed()
      })
    }
    return process
  }

  #makeData(spec: NodeSpec): Data {
    const data = { id: `id-${spec.name}-${this.#pids}`, spec, members: undefined, lastLogIndex: 0n }
    this.data.set(spec.name, data)
    return data
  }

  #processOf(process: Running, adopted: boolean): NodeProcess {
    return {
      pid: process.pid,
      adopted,
      exited: process.exited,
      check: () => {},
      forget: () => {},
      doubt: () => (this.away.has(process.data.spec.name) ? 'its machine is away' : undefined),
      signal: (signal) => {
        if (this.away.has(process.data.spec.name)) {
          if (signal === 'SIGKILL') process.end({ left: 'its machine is away' })
        } else if (signal === 'SIGKILL') this.#end(process, { signal })
        else if (!this.deaf.has(process.data.spec.name)) this.#end(process, { code: 0 })
      },
    }
  }

  #end(process: Running, exit: Exit): void {
    if (!this.running.delete(process)) return
    process.gone = true
    const shard = this.shard(process.data.spec.shard)
    shard.calls.push(`end ${process.data.spec.name}`)
    if (shard.leader === process) shard.leader = undefined
    process.end(exit)
    this.ended(process)
    this.#changed()
  }

  #changed(): void {
    this.#version++
    for (const wake of [...this.#watchers]) wake()
  }

  #nodeLink(address: string, pass: (what: string) => Promise<void>): NodeLink {
    const reach = async (what: string) => {
      await pass(`${what} ${address}`)
      const found = [...this.running].find((one) => one.address === address && !one.gone)
      if (found === undefined) throw new UnavailableError('nobody listens', { outcome: 'not-applied' })
      this.shard(found.data.spec.shard).calls.push(`${what} ${found.data.spec.name}`)
      return found
    }
    return {
      close: () => {},
      status: async () => this.#statusOf(await reach('status')),
      watch: (signal) => this.#watch(reach, signal),
      bootstrap: async (members) => {
        const node = await reach('bootstrap')
        node.opening = false
        if (node.data.members !== undefined && !same(node.data.members, members)) throw new TypeError('other members')
        node.data.members = members
        this.shard(node.data.spec.shard).members.bootstrap(members.map(({ id }) => id))
        this.#changed()
      },
      setPeers: async (peers) => {
        const node = await reach('setPeers')
        node.peers = peers
      },
      campaign: async () => this.#campaign(await reach('campaign')),
      transferLeadership: async (to) => {
        const node = await reach('transfer')
        const next = [...this.running].find(({ data }) => data.id === to)
        if (this.shard(node.data.spec.shard).leader === node && next !== undefined) this.#campaign(next)
      },
      raiseFormat: async (format) => {
        this.#ledBy(await reach('raise')).format = format
      },
      assignPartitions: async (epoch, owned) => {
        const shard = this.#ledBy(await reach('assign'))
        shard.ownershipEpoch = epoch
        shard.partitions.assign(epoch, owned)
      },
      ...fakeMemberCalls(
        async (what) => this.#leads(await reach(what)),
        (id) => this.#isBehind(id),
      ),
      move: async (step, epoch, partitions) => {
        this.#ledBy(await reach('move')).partitions.step(step, epoch, partitions)
        expectOneOwner(this.#owners())
      },
      partitions: async () => this.#ledBy(await reach('partitions')).partitions.report(),
      importPartitions: (order, signal) => this.#import(order, reach, pass, signal),
    }
  }

  async *#import(
    order: ImportOrder,
    reach: (what: string) => Promise<Running>,
    pass: (what: string) => Promise<void>,
    signal: AbortSignal,
  ): AsyncGenerator<ImportResponse> {
    const node = await reach('import')
    const { partitions } = this.#ledBy(node)
    const giver = this.shard(order.fromShard).partitions
    const owners = () => this.#owners()
    for await (const progress of fakeImport(order, giver, partitions, this.imports, owners, signal)) {
      await pass(`heard ${progress.phase}`)
      if (node.gone) throw new UnavailableError('the connection broke', { outcome: 'unknown' })
      yield progress
    }
  }

  #leads(node: Running) {
    const { members } = this.#ledBy(node)
    const others = [...this.running].filter(({ data }) => data !== node.data && members.voters.includes(data.id))
    return {
      id: node.data.id,
      members,
      feed: (id: string) => {
        const fed = this.#byId(id)?.data
        if (fed !== undefined) Object.assign(fed, { members: [], lastLogIndex: node.data.lastLogIndex })
        this.#changed()
      },
      handOver: () => {
        others.sort((a, b) => Number(b.data.lastLogIndex - a.data.lastLogIndex))
        for (const other of others.slice(0, 1)) this.#campaign(other)
      },
    }
  }

  /** Whoever does not run, or is not heard, acknowledges nothing. */
  #isBehind(id: string): boolean {
    const node = this.#byId(id)
    return node === undefined || node.gone || this.behind.has(node.data.spec.name)
  }

  #byId(id: string): Running | undefined {
    return [...this.running].find(({ data }) => data.id === id)
  }

  #ledBy(node: Running): Shard {
    const shard = this.shard(node.data.spec.shard)
    if (shard.leader === node) return shard
    throw new UnavailableError('not the leader', { outcome: 'not-applied' })
  }

  /** Meta's partitions are others. */
  #owners(): FakePartitions[] {
    return [...this.#shards].filter(([id]) => id !== 0).map(([, { partitions }]) => partitions)
  }

  async *#watch(reach: (what: string) => Promise<Running>, signal: AbortSignal): AsyncGenerator<NodeStatus> {
    // Whoever waits for a node that does not answer comes back with the same signal, again and again.
    setMaxListeners(0, signal)
    const node = await Promise.race([reach('watch'), aborted(signal)])
    while (node !== undefined && !signal.aborted) {
      if (node.gone) throw new UnavailableError('the connection broke', { outcome: 'not-applied' })
      const seen = this.#version
      yield this.#statusOf(node)
      if (this.#version > seen) continue
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#watchers.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#watchers.add(wake)
        signal.addEventListener('abort', wake)
      })
    }
  }

  #campaign(node: Running): void {
    const shard = this.shard(node.data.spec.shard)
    const { voters } = shard.members
    const alive = [...this.running].filter((one) => voters.includes(one.data.id))
    if (!voters.includes(node.data.id) || !shard.members.hasMajority()) return
    if (alive.some((one) => one.data.lastLogIndex > node.data.lastLogIndex)) return
    shard.term++
    shard.leader = node
    const lastLogIndex = node.data.lastLogIndex + 1n
    for (const { data } of alive) data.lastLogIndex = lastLogIndex
    this.#changed()
  }

  #statusOf(node: Running): NodeStatus {
    const shard = this.shard(node.data.spec.shard)
    const leads = shard.leader === node
    const committed = shard.leader?.data.lastLogIndex ?? 0n
    return {
      ...emptyStatus(),
      clusterId: node.data.spec.clusterId,
      shard: node.data.spec.shard,
      nodeId: node.data.id,
      address: node.address,
      pid: node.pid,
      dataDir: node.data.spec.directory,
      role: leads ? Role.LEADER : Role.FOLLOWER,
      members: shard.members.all.map((one) => ({ ...one, behind: this.#isBehind(one.nodeId) ? 10_000n : 0n })),
      configuration: shard.members.configuration,
      configurationCommitted: true,
      state: this.#stateOf(node),
      term: shard.term,
      ready: leads,
      leaderId: shard.leader?.data.id ?? '',
      lastLogIndex: node.data.lastLogIndex,
      commitIndex: committed,
      appliedIndex: this.lagging.has(node.data.spec.name) ? 0n : committed,
      ownershipEpoch: shard.ownershipEpoch,
      format: shard.format,
      appendUs: this.appendUs.get(node.data.spec.name) ?? 0,
      formatMax: node.program === undefined ? 1 : this.formatMax,
    }
  }

  #stateOf({ data, opening }: Running): State {
    if (this.seeding.has(data.spec.name)) return State.SEEDING
    if (opening) return State.STARTING
    if (data.members === undefined) return State.WAITING
    return this.shard(data.spec.shard).members.has(data.id) ? State.SERVING : State.NOT_MEMBER
  }

  #kvLink(address: string, pass: (what: string) => Promise<void>): KvLink {
    const serves = () => {
      const { leader, ownershipEpoch } = this.shard(0)
      return leader?.address === address && ownershipEpoch > 0n
    }
    return fakeKv(this.meta, serves, pass)
  }
}

function same(a: readonly NodeInfo[], b: readonly NodeInfo[]): boolean {
  return JSON.stringify(a.map(({ id }) => id)) === JSON.stringify(b.map(({ id }) => id))
}
