import type { Limits } from '../../core/limits.js'
import { MapCell } from '../../core/map-source.js'
import type { Operation, Result, Stamp } from '../../core/operation.js'
import { seededRng } from '../../core/rng.js'
import { PARTITIONS } from '../../core/slot.js'
import { limitsWith } from '../../core/testing/limits.js'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { type ClusterMap, makeClusterMap } from '../../core/topology.js'
import { KvError, NotLeaderError, WrongPeerError } from '../../errors/index.js'
import { operationFromWire, resultToWire } from '../../wire/convert.js'
import type { BatchRequest } from '../../wire/gen/kvorum/v1/kv.js'
import type { PeerIdentity } from '../../wire/peer.js'
import { stampsFromWire } from '../../wire/stamps.js'
import { FakeConnection, turn } from '../../wire/testing/fake-connection.js'
import type { StoreEvent } from '../events.js'
import type { ExecuteOptions } from '../execute.js'
import { Store } from '../store.js'

type Answer = Result | KvError

const KEY = Buffer.from('key')
export const GET: Operation = { kind: 'get', key: KEY }
export const PUT: Operation = { kind: 'put', key: KEY, value: Buffer.from('value') }

/** A node as its peers see it: reachable or not, running or paused, leading or not. */
export class SimNode {
  reachable = true
  paused = false
  /** A node of another cluster or shard listens on its address: it refuses what is not meant for it. */
  stranger = false
  /** Whom its callers meant. */
  readonly meant: (PeerIdentity | undefined)[] = []
  answer: (operation: Operation, stamp?: Stamp) => Answer = () => this.notLeader()
  readonly executed: Operation[] = []
  /** Of the writes that it was sent, in their order. */
  readonly stamps: Stamp[] = []
  readonly connections: FakeConnection[] = []
  hint: { nodeId: string; address: string; term: bigint } | undefined

  constructor(
    readonly id: string,
    readonly address: string,
  ) {}

  lead(): void {
    this.answer = (operation) => this.execute(operation)
  }

  follow(leader?: SimNode, term = 0n): void {
    this.hint = leader && { nodeId: leader.id, address: leader.address, term }
    this.answer = () => this.notLeader()
  }

  /** The process is gone: its connections break, and new ones are refused. */
  kill(): void {
    this.reachable = false
    for (const connection of this.connections) if (!connection.closed) connection.break()
  }

  execute(operation: Operation): Result {
    if (operation.kind === 'open-session') return { kind: 'open-session', id: new Uint8Array(16) }
    this.executed.push(operation)
    if (operation.kind === 'put') return { kind: 'put', version: 1n }
    if (operation.kind === 'delete') return { kind: 'delete', existed: true }
    if (operation.kind === 'append') return { kind: 'append', version: 1n, length: 1 }
    return { kind: 'get', found: true, value: Buffer.from(this.id), version: 1n }
  }

  notLeader(): KvError {
    return new NotLeaderError(`${this.id} does not lead`, { outcome: 'not-applied', node: this.id, leader: this.hint })
  }

  /** Opens or refuses connections and answers messages. Says whether there was anything to do. */
  work(): boolean {
    const open = this.connections.filter((connection) => !connection.closed)
    let worked = false
    for (const connection of open) {
      if (!this.reachable) connection.break()
      else if (this.paused) continue
      else if (!this.#opened.has(connection)) {
        this.#opened.add(connection)
        connection.open()
      } else {
        worked = this.#answerAll(connection) || worked
        continue
      }
      worked = true
    }
    return worked
  }

  readonly #opened = new Set<FakeConnection>()

  #answerAll(connection: FakeConnection): boolean {
    const messages = connection.written.splice(0)
    if (this.stranger) {
      if (messages.length > 0) connection.break(new WrongPeerError('not me', { outcome: 'not-applied' }))
      return messages.length > 0
    }
    for (const message of messages) {
      connection.receive({ id: message.id, results: this.#answer(message), positions: [] })
    }
    return messages.length > 0
  }

  #answer({ operations, sessions }: BatchRequest) {
    const stamps = stampsFromWire(operations, sessions)
    this.stamps.push(...stamps.filter((stamp) => stamp !== undefined))
    return operations.map((wire, at) => {
      const operation = operationFromWire(wire)
      if (operation === undefined) throw new Error('unknown kind')
      return resultToWire(this.answer(operation, stamps[at]))
    })
  }
}

/** A Store on a simulated network and a clock that stands still: nothing happens but in `settle` and `advance`. */
export class SimCluster {
  readonly clock = new ManualClock()
  readonly nodes = new Map<string, SimNode>()
  readonly events: StoreEvent[] = []
  readonly refreshes: bigint[] = []
  readonly cell: MapCell
  readonly store: Store
  /** Gateways of another cluster, as somebody found out. */
  readonly distrusted = new Set<string>()

  /** Gateways that the store may ask: they lead, until a test says otherwise. */
  constructor(map: ClusterMap = oneShard(3), limits: Partial<Limits> = {}, gateways: readonly string[] = []) {
    for (const address of gateways) this.addNode(address, address)
    for (const address of gateways) this.node(address).lead()
    for (const { nodes } of map.shards) for (const node of nodes) this.addNode(node.id, node.address)
    this.cell = new MapCell(map, (atLeast) => this.refreshes.push(atLeast))
    this.store = new Store({
      map: this.cell,
      clock: this.clock,
      rng: seededRng(7),
      limits: limitsWith(limits),
      gateways: { addresses: gateways, trusts: (address) => !this.distrusted.has(address) },
      onEvent: (event) => this.events.push(event),
      connect: (address, handlers, peer) => {
        const node = [...this.nodes.values()].find((one) => one.address === address)
        if (node === undefined) throw new Error(`no node at ${address}`)
        const connection = new FakeConnection(address, handlers)
        node.connections.push(connection)
        node.meant.push(peer)
        return connection
      },
    })
  }

  /** Three nodes of which n1 leads term 1, as the store knows already. */
  static async withLeader(): Promise<SimCluster> {
    const sim = new SimCluster()
    sim.elect('n1', 1n)
    await sim.run(sim.execute(GET))
    await sim.run(sim.execute(PUT))
    sim.node('n1').executed.length = 0
    sim.events.length = 0
    return sim
  }

  /** `id` leads `term`, and the others know it. */
  elect(id: string, term: bigint): void {
    for (const node of this.nodes.values()) {
      if (node.id === id) node.lead()
      else node.follow(this.node(id), term)
    }
  }

  get eventTypes(): string[] {
    return this.events.map((event) => event.type)
  }

  addNode(id: string, address: string): void {
    this.nodes.set(id, new SimNode(id, address))
  }

  node(id: string): SimNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }

  /** Lets all happen that can happen without time passing. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await turn()
      const worked = [...this.nodes.values()].map((node) => node.work())
      quiet = worked.includes(true) ? 0 : quiet + 1
    }
  }

  /** Moves time on in small steps, letting things happen in between. */
  async advance(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 5) {
      this.clock.advance(5)
      await this.settle()
    }
  }

  /** Begins an operation. The promise gives its failure, too, instead of rejecting. */
  execute(operation: Operation, options?: ExecuteOptions): Promise<Answer> {
    return answerOf(this.store.execute(operation, options))
  }

  /** Lets time pass until an operation ends, and says how long that took. */
  async run(operation: Promise<Answer>): Promise<{ answer: Answer; ms: number }> {
    let ended = false
    const finished = operation.finally(() => {
      ended = true
    })
    const from = this.clock.monotonic()
    await this.settle()
    while (!ended) await this.advance(5)
    return { answer: await finished, ms: this.clock.monotonic() - from }
  }
}

function answerOf(operation: Promise<Result>): Promise<Answer> {
  return operation.catch((error: unknown) => {
    if (error instanceof KvError) return error
    throw error
  })
}

/** Shard 1 with nodes n1, n2, ... owns everything. */
export function oneShard(nodes: number, epoch = 1n): ClusterMap {
  const infos = Array.from({ length: nodes }, (_, at) => ({ id: `n${at + 1}`, address: `h:${at + 1}` }))
  return makeClusterMap({
    clusterId: 'sim',
    epoch,
    owners: Array(PARTITIONS).fill(1),
    shards: [{ id: 1, nodes: infos }],
  })
}
