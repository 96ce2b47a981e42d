import type { Clock, Timer } from '../core/clock.js'
import type { NodeInfo } from '../core/topology.js'
import type { Telemetry } from '../telemetry/index.js'
import { newestLeader } from '../wire/leading.js'
import { State } from '../wire/node-admin.js'
import { Changes } from './changes.js'
import { groupName } from './data-directory.js'
import type { NodeLink } from './links.js'
import { firstMembers, type GroupRecord, idAt, joinerWith, mayHaveVoted } from './membership.js'
import { PUT_BACK } from './restart-policy.js'
import { Rounds } from './rounds.js'
import type { Supervisor } from './supervisor.js'

export interface GroupDeps {
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Writes down the group's members; done when it is durable. */
  readonly record: (record: GroupRecord) => Promise<void>
}

/** So many failures in a row, and a start does not count on the node. */
const FAILURES_MAX = 3
const RETRY_MS = 100
/** A shard that has a leader again by then is not spoken of: leadership that is handed over on purpose takes less. */
const LEADERLESS_MS = 1_000

/**
 * One Raft group and its nodes. Whatever changes in one of them leads to the same round of idempotent steps, so that it
 * makes no difference at which of them an earlier orchestrator died: know the members, bootstrap them, tell them where
 * the others are, spare them a time-out when nobody leads.
 */
export class Group {
  #record: GroupRecord | undefined
  #trouble = ''
  #campaigned = false
  #ledBefore: string | undefined
  /** Tells that nobody leads, unless somebody does before. */
  #leaderless: Timer | undefined
  /** What each node was last told of its peers, and over which connection. */
  readonly #told = new Map<Supervisor, { readonly admin: NodeLink; readonly peers: string }>()
  #nodes: readonly Supervisor[] = []
  /** One change of the record at a time. Never rejects. */
  #lastWrite: Promise<unknown> = Promise.resolve()
  readonly #changes = new Changes()
  readonly #rounds: Rounds
  #closed = false

  constructor(
    readonly shard: number,
    record: GroupRecord | undefined,
    private readonly deps: GroupDeps,
  ) {
    this.#record = record
    this.#rounds = new Rounds({
      work: (signal) => this.#round(signal),
      failed: (error) => {
        this.#trouble = error instanceof Error ? error.message : String(error)
      },
      pauseMs: RETRY_MS,
      clock: deps.clock,
    })
  }

  get name(): string {
    return groupName(this.shard)
  }

  /** In the order of their indexes: its members, and one that is to become a member. They call `changed`. */
  get nodes(): readonly Supervisor[] {
    return this.#nodes
  }

  /** What is written down of its members; undefined until all of the first ones have told their ids. */
  get record(): GroupRecord | undefined {
    return this.#record
  }

  /** Its members and where they listen. */
  get members(): readonly NodeInfo[] | undefined {
    return this.#record?.members.map(({ id, index }) => ({ id, address: this.nodeAt(index)?.address ?? '' }))
  }

  /** Who is to know each other: the members, and one that is to become a member, since it hears from them then. */
  get peers(): readonly NodeInfo[] {
    const { members = [], joiner } = this
    return joiner === undefined ? members : [...members, joiner]
  }

  /** The node that is being added, when it has told its id. */
  get joiner(): NodeInfo | undefined {
    const { index, id } = this.#record?.joining ?? {}
    const address = index === undefined ? undefined : this.nodeAt(index)?.address
    return id === undefined || address === undefined ? undefined : { id, address }
  }

  nodeAt(index: number): Supervisor | undefined {
    return this.#nodes.find(({ spec }) => spec.index === index)
  }

  /** Who the node at this index must be, if that is known. */
  idOf(index: number): string | undefined {
    return this.#record === undefined ? undefined : idAt(this.#record, index)
  }

  /** Those whose votes count, as far as it is written down: a node that is being added is not missed. */
  get voters(): readonly Supervisor[] {
    const record = this.#record
    if (record === undefined) return this.#nodes
    return this.#nodes.filter(({ spec }) => record.members.some(({ index }) => index === spec.index))
  }

  /** Whether the node has been told of everybody. */
  isIntroduced(node: Supervisor | undefined): boolean {
    const told = node === undefined ? undefined : this.#told.get(node)
    return told !== undefined && told.admin === node?.admin && told.peers === JSON.stringify(this.peers)
  }

  /** One more node. */
  admit(node: Supervisor): void {
    this.#nodes = [...this.#nodes, node].sort((a, b) => a.spec.index - b.spec.index)
    this.changed()
  }

  /** The node is not one of its nodes any more; whoever calls stops it. */
  dismiss(node: Supervisor): void {
    this.#nodes = this.#nodes.filter((one) => one !== node)
    this.#told.delete(node)
    this.changed()
  }

  /** Writes down another state of its members; `next` sees what is there by now. Done when it is durable. */
  change(next: (record: GroupRecord) => GroupRecord): Promise<void> {
    return this.#write((record) => {
      if (record === undefined) throw new TypeError(`the members of ${this.name} are not known yet`)
      return next(record)
    })
  }

  /** Who leads, as far as the nodes tell. */
  get leader(): Supervisor | undefined {
    return newestLeader(this.nodes)
  }

  /** Whether operations are served now. */
  get isReady(): boolean {
    return this.leader?.status?.ready ?? false
  }

  start(): void {
    for (const node of this.nodes) node.start()
  }

  /** A node changed. */
  changed(): void {
    this.#tellOfLeader()
    this.#wake()
    this.#rounds.ask()
  }

  #wake(): void {
    this.#changes.tell()
  }

  /** Waits for something that changes with the nodes. Rejects with the signal's reason when it is aborted first. */
  until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    return this.#changes.until(holds, signal)
  }

  /** Why it will not become ready however long one waits, or undefined. */
  impediment(): string | undefined {
    const { voters } = this
    const failed = voters.filter((node) => node.condition === 'held' || node.failures >= FAILURES_MAX)
    const needed = this.#record?.bootstrapped ? Math.floor(voters.length / 2) + 1 : voters.length
    if (voters.length - failed.length >= needed) return undefined
    return byReason(failed)
  }

  /** What it still waits for, for people. */
  waitsFor(): string {
    const { voters } = this
    const up = voters.filter((node) => node.condition === 'up').length
    const what = up < voters.length ? `${up} of ${voters.length} nodes are up` : 'no leader yet'
    return `${this.name} (${what}${this.#trouble === '' ? '' : `; ${this.#trouble}`})`
  }

  /** Why nodes of it are not up, for people; empty when all are. */
  troubles(): string {
    return byReason(this.nodes.filter((node) => node.condition !== 'up'))
  }

  /**
   * Stops all nodes. The followers go first: a leader that goes while they are there would hand over to one of them,
   * which would hand over to the next.
   */
  async stop(timeoutMs: number, force: AbortSignal): Promise<void> {
    const closing = this.#close()
    const leader = this.leader
    await Promise.all(this.nodes.filter((node) => node !== leader).map((node) => node.stop(timeoutMs, force)))
    await leader?.stop(timeoutMs, force)
    await closing
  }

  /** Leaves alone what ran before this orchestrator, and stops what it started. */
  async release(timeoutMs: number, force: AbortSignal): Promise<void> {
    const closing = this.#close()
    await Promise.all(this.nodes.map((node) => node.release(timeoutMs, force)))
    await closing
  }

  /** Leaves all its nodes to another orchestrator, whoever started them. */
  async leave(): Promise<void> {
    const closing = this.#close()
    await Promise.all(this.nodes.map((node) => node.leave()))
    await closing
  }

  /** Done when no step is under way; one that waits for a node ends with the node. */
  async #close(): Promise<void> {
    this.#closed = true
    this.#leaderless?.cancel()
    await this.#rounds.close()
  }

  async #round(signal: AbortSignal): Promise<void> {
    for (const step of [this.#know, this.#bootstrap, this.#introduce, this.#elect]) {
      await step.call(this)
      signal.throwIfAborted()
    }
    this.#trouble = ''
    this.#wake()
  }

  /** The members are written down before anything is done with them; from then on a node must be who it was. */
  async #know(): Promise<void> {
    if (this.#record === undefined) {
      const members = this.nodes.flatMap(({ spec, status }) =>
        status === undefined ? [] : [{ id: status.nodeId, index: spec.index }],
      )
      if (members.length < this.nodes.length) return
      await this.#write((record) => record ?? firstMembers(this.shard, members))
    }
    await this.#knowJoiner()
    for (const node of this.nodes) {
      const [id, member] = [node.status?.nodeId, this.idOf(node.spec.index)]
      if (id === undefined || member === undefined || id === member || node.condition === 'held') continue
      node.hold(`its directory holds node ${id}, but the member is ${member}`, PUT_BACK)
    }
  }

  async #knowJoiner(): Promise<void> {
    const { joining } = this.#record ?? {}
    if (joining === undefined || joining.id !== undefined) return
    const id = this.nodeAt(joining.index)?.status?.nodeId
    if (id === undefined) return
    await this.change((record) => (record.joining?.index === joining.index ? joinerWith(record, { id }) : record))
  }

  /** Every node is asked, whatever was done before: one that has been bootstrapped with these members says so. */
  async #bootstrap(): Promise<void> {
    const { members } = this
    const record = this.#record
    if (record === undefined || members === undefined) return
    if (record.bootstrapped) {
      // One that is being added waits rightly.
      const waiting = this.nodes.filter(
        ({ status, condition, spec }) =>
          status?.state === State.WAITING && condition === 'up' && mayHaveVoted(record, spec.index),
      )
      await Promise.all(waiting.map((node) => this.#suspect(node)))
      return
    }
    // Not one that is being added: it is none of the members, and would say so for ever.
    const { voters } = this
    const admins = voters.map((node) => node.admin).filter((admin) => admin !== undefined)
    if (admins.length < voters.length) return
    // One that could not be told has been replaced: the others know the members of now from Raft, and would refuse them here.
    const isTold = this.isReady && voters.every(({ status }) => status !== undefined && status.state !== State.WAITING)
    if (!isTold) await Promise.all(admins.map((admin) => admin.bootstrap(members)))
    await this.change((now) => ({ ...now, bootstrapped: true }))
  }

  /** A member without a Raft log may have voted already: bootstrapped again it could vote twice in one term. */
  async #suspect(node: Supervisor): Promise<void> {
    // Asked again: what it said before may be from before it was bootstrapped.
    const status = await node.admin?.status()
    if (status?.state !== State.WAITING) return
    node.hold('it has lost its Raft log', PUT_BACK, 'log')
  }

  /** A node that was started at another time may know addresses of then. */
  async #introduce(): Promise<void> {
    if (this.#record === undefined) return
    const all = this.peers
    const peers = JSON.stringify(all)
    await Promise.all(
      this.nodes.map(async (node) => {
        const { admin } = node
        const told = this.#told.get(node)
        if (admin === undefined || (told?.admin === admin && told.peers === peers)) return
        await admin.setPeers(all)
        this.#told.set(node, { admin, peers })
      }),
    )
  }

  /**
   * Raft would wait for a time-out first. Only when it is known of each node whether it runs: one that is silent may
   * lead. The node with the longest log is asked, since the others could lose.
   */
  async #elect(): Promise<void> {
    if (this.leader !== undefined) {
      this.#campaigned = false
      return
    }
    if (this.#campaigned || !this.#record?.bootstrapped) return
    const { voters } = this
    if (voters.some((node) => node.condition === 'silent')) return
    const serving = voters.filter((node) => node.status?.state === State.SERVING)
    if (serving.length * 2 <= voters.length) return
    const lastIndex = (node: Supervisor) => node.status?.lastLogIndex ?? 0n
    const best = serving.reduce((a, b) => (lastIndex(b) > lastIndex(a) ? b : a))
    this.#campaigned = true
    await best.admin?.campaign()
  }

  #write(next: (record: GroupRecord | undefined) => GroupRecord): Promise<void> {
    const written = this.#lastWrite.then(async () => {
      const record = next(this.#record)
      if (record === this.#record) return
      await this.deps.record(record)
      this.#record = record
    })
    this.#lastWrite = written.catch(() => {})
    return written
  }

  #tellOfLeader(): void {
    if (this.#closed) return
    const { leader } = this
    const term = leader?.status?.term ?? 0n
    const led = leader === undefined || !this.isReady ? undefined : `${leader.name} ${term}`
    if (led === this.#ledBefore) return
    this.#leaderless?.cancel()
    if (led !== undefined && leader !== undefined) {
      this.deps.telemetry.emit('shard.led', { shard: this.name, leader: leader.name, term })
    } else if (this.#ledBefore !== undefined) {
      const tell = () => this.deps.telemetry.emit('shard.leaderless', { shard: this.name })
      this.#leaderless = this.deps.clock.setTimeout(tell, LEADERLESS_MS)
    }
    this.#ledBefore = led
  }
}

/** "a, b: it is starting; c: killed by SIGKILL" */
function byReason(nodes: readonly Supervisor[]): string {
  const names = new Map<string, string[]>()
  for (const { name, reason } of nodes) names.set(reason, [...(names.get(reason) ?? []), name])
  return [...names].map(([reason, whose]) => `${whose.join(', ')}: ${reason}`).join('; ')
}
