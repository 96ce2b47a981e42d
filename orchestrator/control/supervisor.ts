import { type Clock, sleep } from '../core/clock.js'
import type { NodeInfo } from '../core/topology.js'
import { WrongPeerError } from '../errors/index.js'
import type { Telemetry } from '../telemetry/index.js'
import { type NodeStatus, State } from '../wire/node-admin.js'
import type { PeerIdentity } from '../wire/peer.js'
import { aborted } from './aborted.js'
import { type Driver, type Exit, isAt, type NodeProcess, type NodeSpec, whereOf } from './drivers/driver.js'
import type { Links, NodeLink } from './links.js'
import { type Condition, type Order, outranks } from './orders.js'
import type { NodeRecord } from './registry.js'
import { decide, delayAfter, describeExit, PUT_BACK, STABLE_MS } from './restart-policy.js'

export interface SupervisorDeps {
  readonly driver: Driver
  /** An address that nobody listens on now, and that is not recorded for any node. */
  readonly freeAddress: () => Promise<string>
  readonly links: Links
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Writes down where the node is; done when it is durable. */
  readonly record: (record: NodeRecord) => Promise<void>
  /** Where a program that was taken in lies. */
  readonly pathOf: (program: string) => string
  /** The other nodes of its group, as far as they are known. */
  readonly peers: () => readonly NodeInfo[]
  /** Whether the group counts on the node's data. */
  readonly isMember: () => boolean
  /** Something about the node changed. */
  readonly changed: () => void
  /** It will listen on another address from now on. */
  readonly moved: () => void
}

/** First and longest pause between two tries to reach a node whose process runs. */
const [REACH_MS_MIN, REACH_MS_MAX] = [20, 500]

/** How the node is started, besides where: written down with the process that was started so. */
export type Manner = Pick<NodeRecord, 'program' | 'startedFor'>

/** What of a node's data is gone. */
type Loss = 'directory' | 'log'

const WORDS = { restarting: 'it is being restarted', silent: 'it does not answer' } as const
/** How long a node that is held may take to end. */
const HOLD_TIMEOUT_MS = 10_000

/** Keeps one node running: finds or starts its process, listens to it, and starts it again when it ends. */
export class Supervisor {
  #record: NodeRecord
  #condition: Condition = 'down'
  #reason = 'not started yet'
  /** What is known to be the matter while it is silent. */
  #trouble: string | undefined
  #failures = 0
  #loss: Loss | undefined
  #left: string | undefined
  #process: NodeProcess | undefined
  #admin: NodeLink | undefined
  #status: NodeStatus | undefined
  /** The process of which it has been told that it is seeded: a status comes more than once. */
  #seeding: number | undefined
  #running: Promise<void> | undefined
  /** Of the next process. That of the last one is in the record. */
  #manner: Manner
  #order: Order | undefined
  /** Aborted when there is an order. */
  #ordered = new AbortController()
  /** Aborted when the process must be gone now. */
  readonly #killed = new AbortController()

  constructor(
    readonly spec: NodeSpec,
    record: NodeRecord,
    private readonly deps: SupervisorDeps,
  ) {
    this.#record = record
    this.#manner = { program: record.program, startedFor: record.startedFor }
  }

  get name(): string {
    return this.spec.name
  }

  get address(): string {
    return this.#record.address
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** How its last process was started. */
  get manner(): Manner {
    const { program, startedFor } = this.#record
    return { program, startedFor }
  }

  get condition(): Condition {
    return this.#condition
  }

  /** Why nobody knows whether its process runs, or could end it now. */
  get doubt(): string | undefined {
    return this.#process?.doubt?.()
  }

  /** Whether its process, if it has one, is about to be replaced. */
  get isRestarting(): boolean {
    return this.#order?.kind === 'restart'
  }

  /** Why it is not up, for people. */
  get reason(): string {
    return this.#reason
  }

  /** How many times in a row it could not be started, or ended without having been stable. */
  get failures(): number {
    return this.#failures
  }

  /** What it said last, while it answers. */
  get status(): NodeStatus | undefined {
    return this.#status
  }

  /** The connection, while it answers. Its owner is here: nobody else closes it. */
  get admin(): NodeLink | undefined {
    return this.#admin
  }

  /** Its id is left out: a node that has become another one is heard, and held then. */
  get #peer(): PeerIdentity {
    return { cluster: this.spec.clusterId, shard: this.spec.shard }
  }

  /** From now on the node runs, until one of the other calls says otherwise. */
  start(): void {
    this.#running ??= this.#run()
  }

  /**
   * Ends its process in order, by force when it has not ended after `timeoutMs`, and starts it again in this manner: also one
   * that is held, or waits for its next try. It counts as no failure. `manner` tells when such a process has been started.
   */
  restart(manner: Manner, timeoutMs: number): void {
    this.#manner = manner
    this.#failures = 0
    this.deps.telemetry.emit('node.restarting', { node: this.name, pid: this.pid })
    if (this.#order?.kind !== 'hold') {
      this.#give({ kind: 'restart', timeoutMs })
      return
    }
    this.#order = { kind: 'restart', timeoutMs }
    this.#becomes('down', WORDS.restarting)
    // What was held runs no more, or ends just now and sees the order itself.
    this.#running = this.#running?.then(() => this.#run())
  }

  /** Ends its process for good, by force when it has not ended after `timeoutMs` or `force` is aborted. */
  stop(timeoutMs: number, force: AbortSignal): Promise<void> {
    return this.#finish({ kind: 'end', timeoutMs }, force)
  }

  /** Forgets its process, which goes on running if an earlier orchestrator started it, and is stopped if not. */
  release(timeoutMs: number, force: AbortSignal): Promise<void> {
    return this.#finish({ kind: 'release', timeoutMs }, force)
  }

  /** Forgets its process, which goes on running for another orchestrator. */
  leave(): Promise<void> {
    return this.#finish({ kind: 'leave', timeoutMs: 0 }, new AbortController().signal)
  }

  /** What is gone, if it is held for that: it can be put back, or the node replaced. */
  get loss(): Loss | undefined {
    return this.#condition === 'held' ? this.#loss : undefined
  }

  /** Ends its process, and starts it again only when that is ordered. */
  hold(how: string, advice: string, loss?: Loss): void {
    this.#loss = loss
    this.deps.telemetry.emit('node.held', { node: this.name, how, advice })
    this.#becomes('held', `${how}. ${advice}`)
    this.#give({ kind: 'hold', timeoutMs: HOLD_TIMEOUT_MS })
  }

  #give(order: Order): void {
    if (this.#order !== undefined && !outranks(order, this.#order)) return
    this.#order = order
    this.#ordered.abort()
  }

  /** Whether a process is to run now. */
  #isWanted(): boolean {
    if (this.#order?.kind === 'restart') {
      this.#order = undefined
      this.#ordered = new AbortController()
      this.#becomes('down', WORDS.restarting)
    }
    return this.#order === undefined
  }

  async #finish(order: Order, force: AbortSignal): Promise<void> {
    this.#give(order)
    const kill = () => this.#killed.abort()
    force.addEventListener('abort', kill, { once: true })
    if (force.aborted) kill()
    await this.#running
    force.removeEventListener('abort', kill)
    if (this.#condition !== 'held')
      this.#becomes(this.#left === undefined ? 'stopped' : 'left', this.#left ?? 'stopped')
  }

  async #run(): Promise<void> {
    while (this.#isWanted()) {
      const since = this.deps.clock.monotonic()
      try {
        if (await this.#lacksData()) return
        const process = await this.#findOrSpawn()
        const exit = await this.#attend(process)
        if (this.#order === undefined) await this.#afterExit(process, exit, this.deps.clock.monotonic() - since)
      } catch (error) {
        await this.#afterFailure(error)
      }
    }
  }

  /** A member without its data must not come back as somebody new: it may have voted, and it had what others lack. */
  async #lacksData(): Promise<boolean> {
    if (!this.deps.isMember() || (await this.deps.driver.holds(this.spec))) return false
    this.hold(`its directory ${whereOf(this.spec)} is gone`, PUT_BACK, 'directory')
    return true
  }

  async #findOrSpawn(): Promise<NodeProcess> {
    const { driver, telemetry } = this.deps
    const found = await driver.find(this.spec, this.#record)
    const process = found ?? (await this.#spawn(this.#manner))
    this.#process = process
    if (found !== undefined) await this.#write({ pid: process.pid })
    const event = { node: this.name, pid: process.pid, address: this.address }
    const doubt = process.doubt?.()
    if (doubt === undefined) telemetry.emit(process.adopted ? 'node.adopted' : 'node.started', event)
    this.#becomes('silent', doubt ?? (process.adopted ? WORDS.silent : 'it is starting'))
    return process
  }

  /** What was started how is written down together: whoever reads it later believes it of the process that has this pid. */
  async #spawn(manner: Manner): Promise<NodeProcess> {
    const { driver, clock, peers, pathOf } = this.deps
    const program = manner.program === undefined ? undefined : pathOf(manner.program)
    const build = await driver.build(program)
    const process = await driver.spawn(this.spec, this.#record.address, peers(), program)
    this.#process = process
    const { startedFor } = manner
    await this.#write({ pid: process.pid, startedAt: clock.now(), build, program: manner.program, startedFor })
    return process
  }

  /** Listens to the node until its process has ended, and carries out an order about it. */
  async #attend(process: NodeProcess): Promise<Exit> {
    const over = new AbortController()
    const listening = this.#listen(process, over.signal)
    const exit = await Promise.race([process.exited, this.#carryOut(process, over.signal)])
    over.abort()
    await listening
    this.#process = undefined
    this.#left = exit.left
    return exit
  }

  /** Waits for an order. One to end the process goes on until it has ended; a release is done at once. */
  async #carryOut(process: NodeProcess, over: AbortSignal): Promise<Exit> {
    await aborted(AbortSignal.any([this.#ordered.signal, over]))
    if (over.aborted || this.#order === undefined) return {}
    const { kind, timeoutMs } = this.#order
    if (kind === 'leave' || (kind === 'release' && process.adopted)) {
      process.forget()
      return {}
    }
    const kill = () => process.signal('SIGKILL')
    const timer = this.deps.clock.setTimeout(() => {
      const event = { node: this.name, pid: process.pid, afterMs: timeoutMs }
      if (this.doubt === undefined) this.deps.telemetry.emit('node.killed', event)
      kill()
    }, timeoutMs)
    process.signal('SIGTERM')
    this.#killed.signal.addEventListener('abort', kill, { once: true })
    if (this.#killed.signal.aborted) kill()
    const exit = await process.exited
    timer.cancel()
    return exit
  }

  async #listen(process: NodeProcess, over: AbortSignal): Promise<void> {
    let pauseMs = REACH_MS_MIN
    while (!over.aborted) {
      const admin = this.deps.links.node(this.address, this.#peer)
      let stranger: string | undefined
      try {
        for await (const status of admin.watch(over)) {
          stranger = this.#hears(admin, status)
          if (stranger !== undefined) break
          pauseMs = REACH_MS_MIN
        }
      } catch (error) {
        // It starts, it is gone, or the connection broke: which of them it was shows below and in the next round.
        if (error instanceof WrongPeerError) stranger = `another node listens on ${this.address}: ${error.message}`
      }
      this.#status = undefined
      this.#admin = undefined
      admin.close()
      if (over.aborted) return
      process.check()
      this.#isSilent(stranger ?? process.doubt?.())
      await sleep(this.deps.clock, pauseMs, over).catch(() => {})
      pauseMs = Math.min(REACH_MS_MAX, pauseMs * 1.5)
    }
  }

  /** Takes in what the node says, unless it is not our node that says it: then the reason why not. */
  #hears(admin: NodeLink, status: NodeStatus): string | undefined {
    const { clusterId, shard } = this.spec
    if (status.clusterId !== clusterId || status.shard !== shard || !isAt(status.dataDir, this.spec)) {
      const who = `cluster ${status.clusterId}, shard ${status.shard}, directory ${status.dataDir}`
      return `another node listens on ${this.address}: ${who}`
    }
    this.#admin = admin
    this.#status = status
    this.#tellSeeding(status)
    if (this.#condition !== 'held') this.#becomes('up', '')
    return undefined
  }

  #tellSeeding({ state, pid }: NodeStatus): void {
    if (state !== State.SEEDING || this.#seeding === pid) return
    this.#seeding = pid
    this.deps.telemetry.emit('node.seeding', { node: this.name, directory: whereOf(this.spec) })
  }

  /** What was the matter may not be it any more; that it starts goes on being true. */
  #isSilent(why: string | undefined): void {
    if (this.#condition === 'up') this.#becomes('silent', why ?? WORDS.silent)
    else if (this.#condition === 'silent' && why !== this.#trouble) this.#becomes('silent', why ?? WORDS.silent)
    this.#trouble = why
  }

  async #afterExit(process: NodeProcess, exit: Exit, ranMs: number): Promise<void> {
    const how = describeExit(exit)
    const decision = decide(exit, ranMs, this.#failures)
    this.#failures = ranMs >= STABLE_MS ? 1 : this.#failures + 1
    if (decision.action === 'hold') {
      this.hold(how, decision.advice)
      return
    }
    const { action, delayMs } = decision
    const next = action === 'move' ? 'starting it again on another port' : `starting it again in ${delayMs} ms`
    this.deps.telemetry.emit('node.exited', { node: this.name, pid: process.pid, how, next })
    this.#becomes('down', how)
    if (action === 'move') await this.#move()
    await this.#pause(delayMs)
  }

  async #afterFailure(error: unknown): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error)
    const delayMs = delayAfter(this.#failures++)
    this.deps.telemetry.emit('node.failed', { node: this.name, reason, next: `trying again in ${delayMs} ms` })
    this.#becomes('down', reason)
    await this.#pause(delayMs)
  }

  async #move(): Promise<void> {
    const from = this.address
    const to = await this.deps.freeAddress()
    await this.#write({ address: to })
    this.deps.telemetry.emit('node.moved', { node: this.name, from, to })
    this.deps.changed()
    this.deps.moved()
  }

  /** Cut short by an order. */
  async #pause(ms: number): Promise<void> {
    await sleep(this.deps.clock, ms, this.#ordered.signal).catch(() => {})
  }

  async #write(change: Partial<NodeRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change }
    await this.deps.record(this.#record)
  }

  #becomes(condition: Condition, reason: string): void {
    this.#condition = condition
    this.#reason = reason
    this.deps.changed()
  }
}
