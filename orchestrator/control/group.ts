import type { Clock } from '../core/clock.js'
import type { NodeInfo } from '../core/topology.js'
import type { Telemetry } from '../telemetry/index.js'
import { Role, State } from '../wire/node-admin.js'
import { groupName } from './data-directory.js'
import type { NodeLink } from './links.js'
import type { GroupRecord } from './registry.js'
import { Rounds } from './rounds.js'
import { PUT_BACK, type Supervisor } from './supervisor.js'

export interface GroupDeps {
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Writes down the group's members; done when it is durable. */
  readonly record: (record: GroupRecord) => Promise<void>
}

/** So many failures in a row, and a start does not count on the node. */
const FAILURES_MAX = 3
const RETRY_MS = 100

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
  /** What each node was last told of its peers, and over which connection. */
  readonly #told = new Map<Supervisor, { readonly admin: NodeLink; readonly peers: string }>()
  readonly #waiters = new Set<() => void>()
  readonly #rounds: Rounds
  #closed = false

  constructor(
    readonly shard: number,
    record: GroupRecord | undefined,
    private readonly deps: GroupDeps,
    /** In the order of their indexes. They call `changed`. */
    readonly nodes: readonly Supervisor[],
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

  /** Its members and where they listen; undefined until all of them have told their ids. */
  get members(): readonly NodeInfo[] | undefined {
    return this.#record?.members.map((id, at) => ({ id, address: this.nodes[at]?.address ?? '' }))
  }

  /** Who leads, as far as the nodes tell. */
  get leader(): Supervisor | undefined {
    const leaders = this.nodes.filter((node) => node.status?.role === Role.LEADER)
    return leaders.sort((a, b) => Number((b.status?.term ?? 0n) - (a.status?.term ?? 0n)))[0]
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
    for (const wake of [...this.#waiters]) wake()
    this.#rounds.ask()
  }

  /** Waits for something that changes with the nodes. Rejects with the signal's reason when it is aborted first. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!holds()) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiters.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiters.add(wake)
        signal.addEventListener('abort', wake)
      })
    }
  }

  /** Why it will not become ready however long one waits, or undefined. */
  impediment(): string | undefined {
    const failed = this.nodes.filter((node) => node.condition === 'held' || node.failures >= FAILURES_MAX)
    const needed = this.#record?.bootstrapped ? Math.floor(this.nodes.length / 2) + 1 : this.nodes.length
    if (this.nodes.length - failed.length >= needed) return undefined
    return byReason(failed)
  }

  /** What it still waits for, for people. */
  waitsFor(): string {
    const up = this.nodes.filter((node) => node.condition === 'up').length
    const what = up < this.nodes.length ? `${up} of ${this.nodes.length} nodes are up` : 'no leader yet'
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

  /** Done when no step is under way; one that waits for a node ends with the node. */
  async #close(): Promise<void> {
    this.#closed = true
    await this.#rounds.close()
  }

  async #round(signal: AbortSignal): Promise<void> {
    for (const step of [this.#know, this.#bootstrap, this.#introduce, this.#elect]) {
      await step.call(this)
      signal.throwIfAborted()
    }
    this.#trouble = ''
  }

  /** The members are written down before anything is done with them; from then on a node must be who it was. */
  async #know(): Promise<void> {
    const ids = this.nodes.map((node) => node.status?.nodeId)
    if (this.#record === undefined) {
      const members = ids.filter((id) => id !== undefined)
      if (members.length < this.nodes.length) return
      await this.#write({ shard: this.shard, members, bootstrapped: false })
    }
    this.nodes.forEach((node, at) => {
      const member = this.#record?.members[at]
      if (ids[at] === undefined || ids[at] === member || node.condition === 'held') return
      const how = `its directory holds node ${ids[at]}, but the member is ${member}`
      node.hold(how, PUT_BACK)
    })
  }

  /** Every node is asked, whatever was done before: one that has been bootstrapped with these members says so. */
  async #bootstrap(): Promise<void> {
    const { members } = this
    if (this.#record === undefined || members === undefined) return
    if (this.#record.bootstrapped) {
      const waiting = this.nodes.filter((node) => node.status?.state === State.WAITING && node.condition === 'up')
      await Promise.all(waiting.map((node) => this.#suspect(node)))
      return
    }
    const admins = this.nodes.map((node) => node.admin).filter((admin) => admin !== undefined)
    if (admins.length < this.nodes.length) return
    await Promise.all(admins.map((admin) => admin.bootstrap(members)))
    await this.#write({ ...this.#record, bootstrapped: true })
  }

  /** A member without a Raft log may have voted already: bootstrapped again it could vote twice in one term. */
  async #suspect(node: Supervisor): Promise<void> {
    // Asked again: what it said before may be from before it was bootstrapped.
    const status = await node.admin?.status()
    if (status?.state !== State.WAITING) return
    node.hold('it has lost its Raft log', PUT_BACK)
  }

  /** A node that was started at another time may know addresses of then. */
  async #introduce(): Promise<void> {
    const { members } = this
    if (members === undefined) return
    const peers = JSON.stringify(members)
    await Promise.all(
      this.nodes.map(async (node) => {
        const { admin } = node
        const told = this.#told.get(node)
        if (admin === undefined || (told?.admin === admin && told.peers === peers)) return
        await admin.setPeers(members)
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
    if (this.nodes.some((node) => node.condition === 'silent')) return
    const serving = this.nodes.filter((node) => node.status?.state === State.SERVING)
    if (serving.length * 2 <= this.nodes.length) return
    const lastIndex = (node: Supervisor) => node.status?.lastLogIndex ?? 0n
    const best = serving.reduce((a, b) => (lastIndex(b) > lastIndex(a) ? b : a))
    this.#campaigned = true
    await best.admin?.campaign()
  }

  async #write(record: GroupRecord): Promise<void> {
    await this.deps.record(record)
    this.#record = record
  }

  #tellOfLeader(): void {
    if (this.#closed) return
    const { leader } = this
    const term = leader?.status?.term ?? 0n
    const led = leader === undefined || !this.isReady ? undefined : `${leader.name} ${term}`
    if (led === this.#ledBefore) return
    if (led !== undefined && leader !== undefined) {
      this.deps.telemetry.emit('shard.led', { shard: this.name, leader: leader.name, term })
    } else if (this.#ledBefore !== undefined) this.deps.telemetry.emit('shard.leaderless', { shard: this.name })
    this.#ledBefore = led
  }
}

/** "a, b: it is starting; c: killed by SIGKILL" */
function byReason(nodes: readonly Supervisor[]): string {
  const names = new Map<string, string[]>()
  for (const { name, reason } of nodes) names.set(reason, [...(names.get(reason) ?? []), name])
  return [...names].map(([reason, whose]) => `${whose.join(', ')}: ${reason}`).join('; ')
}
