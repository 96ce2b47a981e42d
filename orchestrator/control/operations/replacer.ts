import { type Clock, sleep } from '../../core/clock.js'
import { KvError } from '../../errors/index.js'
import type { Telemetry } from '../../telemetry/index.js'
import { State } from '../../wire/node-admin.js'
import { NotHolder, StartFault } from '../faults.js'
import type { Fleet } from '../fleet.js'
import type { Group } from '../group.js'
import type { Supervisor } from '../supervisor.js'
import { isGone } from './gone.js'
import type { Operations } from './operations.js'
import { laneOf } from './record.js'
import { isOver } from './record-fields.js'
import { hasMajorityWithout, wishForReplacement } from './replace.js'

export interface ReplacerDeps {
  readonly fleet: Fleet
  readonly operations: Operations
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly stopTimeoutMs: number
  /** How long a node must have been lost. Default 0: none is replaced for that. */
  readonly replaceAfterMs?: number
  /** How long a machine must have been silent. Default 0: no node is replaced for that. */
  readonly replaceMachineAfterMs?: number
}

/** A node and the group that can do without it. */
interface Due {
  readonly group: Group
  readonly node: Supervisor
}

/** Among what was said: no node's name. */
const CUT_OFF = 'cut off'

const LOOK_EVERY_MS = 1_000
/** What may have come back is looked for less often: each look is a question to another machine. */
const SEARCH_EVERY_MS = 10_000

/**
 * Has nodes replaced whose data, or whose machine, is gone for good: their shard would survive one loss less until somebody
 * notices. What comes back before that is started again, and what comes back later is removed. Nodes that are only down or
 * damaged are left to their supervisors and to people.
 */
export class Replacer {
  readonly #closed = new AbortController()
  /** By name, since when by the monotonic clock. An orchestrator that starts counts from the beginning. */
  readonly #lostSince = new Map<string, number>()
  /** By name: when the replacement was last begun. If that does not help, or a person cancels it, as much time passes again. */
  readonly #begunAt = new Map<string, number>()
  /** Nodes that were started once more because their logs might be back. */
  readonly #tried = new Set<string>()
  /** What was said of whom, so that it is said once. */
  readonly #said = new Map<string, string>()
  #running: Promise<unknown> | undefined

  constructor(private readonly deps: ReplacerDeps) {}

  start(): void {
    const { signal } = this.#closed
    const every = (ms: number, work: () => unknown) => this.#every(ms, work, signal)
    this.#running ??= Promise.all([
      every(LOOK_EVERY_MS, () => this.#look()),
      every(SEARCH_EVERY_MS, () => this.#search()),
      every(LOOK_EVERY_MS, () => this.#replaceFirst(signal)),
    ])
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the orchestrator stops'))
    await this.#running
  }

  async #every(ms: number, work: () => unknown, signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.deps.clock, ms, signal).catch(() => {})
      if (signal.aborted) return
      try {
        await work()
      } catch (error) {
        // Another operation is under way, there is no room, meta or a machine is away, or another one holds the lease by now.
        const isWorldly = [KvError, StartFault, NotHolder].some((kind) => error instanceof kind)
        // A full disk, for one, on which the registry cannot be written: who runs the nodes goes on, and tries again.
        if (!signal.aborted && !isWorldly) this.deps.telemetry.emit('fault', { where: 'replacing nodes', error })
      }
    }
  }

  /** Never waits for anybody: a time that was spent waiting is none in which somebody was silent. */
  #look(): void {
    const { fleet, clock } = this.deps
    fleet.listen()
    const nodes = this.#all().map(({ node }) => node)
    for (const { name, status } of nodes) if (status?.state === State.SERVING) this.#tried.delete(name)
    const names = new Set(nodes.filter(({ loss }) => loss !== undefined).map(({ name }) => name))
    for (const name of this.#lostSince.keys()) if (!names.has(name)) this.#lostSince.delete(name)
    for (const name of names) if (!this.#lostSince.has(name)) this.#lostSince.set(name, clock.monotonic())
  }

  /** Looks whether something is back: data of members, which are started then, and what nobody needs any more. */
  async #search(): Promise<void> {
    for (const { node } of this.#all()) {
      if (node.loss === 'directory' && (await this.deps.fleet.holds(node))) this.#startAgain(node)
    }
    await this.deps.fleet.sweep()
  }

  /** One at a time: the first that has been lost for long enough, and that can be replaced now. */
  async #replaceFirst(signal: AbortSignal): Promise<void> {
    const due = this.#all().filter(({ node }) => this.#isDue(node))
    const names = new Set(due.map(({ node }) => node.name))
    for (const what of this.#said.keys()) if (!names.has(what) && what !== CUT_OFF) this.#said.delete(what)
    this.#tellIfCutOff()
    for (const { group, node } of due) {
      const reason = (await this.#obstacle(group, node)) ?? (await this.#otherWork(signal))
      if (signal.aborted) return
      if (reason === undefined) {
        await this.deps.operations.begin(wishForReplacement(node.name, 'itself'), signal)
        this.#begunAt.set(node.name, this.deps.clock.monotonic())
        return
      }
      this.#say(node.name, reason, () => this.deps.telemetry.emit('replacement.waits', { node: node.name, reason }))
    }
  }

  #all(): Due[] {
    return this.deps.fleet.all.flatMap((group) => group.voters.map((node) => ({ group, node })))
  }

  #isDue(node: Supervisor): boolean {
    const { name, loss, spec } = node
    const { fleet, clock, replaceAfterMs = 0, replaceMachineAfterMs = 0 } = this.deps
    const now = clock.monotonic()
    const isRested = (ms: number) => now - (this.#begunAt.get(name) ?? Number.NEGATIVE_INFINITY) >= ms
    // Of one whose machine is silent nobody knows whether its data is still gone.
    if (fleet.hearing.silentMs(spec.machine) !== undefined) {
      return isGone(node, fleet) && isRested(replaceMachineAfterMs)
    }
    const lostSince = this.#lostSince.get(name)
    if (replaceAfterMs === 0 || loss === undefined || lostSince === undefined) return false
    return (this.#tried.has(name) || now - lostSince >= replaceAfterMs) && isRested(replaceAfterMs)
  }

  /** Why the node cannot be replaced now, or need not be. */
  async #obstacle(group: Group, node: Supervisor): Promise<string | undefined> {
    const { fleet } = this.deps
    if (await this.#isBack(node)) return 'its data may be there again, and it is started'
    const { name, machine, index } = node.spec
    if (!hasMajorityWithout(group, index)) return `${group.name} has no majority without ${name}`
    try {
      await fleet.expectSeat(group, { insteadOf: index, apart: !fleet.hears(machine) })
    } catch (error) {
      if (error instanceof StartFault) return error.message
      throw error
    }
    return undefined
  }

  /** An operation that is not a replacement may wait for the very node, or be paused: then only a person can end that. */
  async #otherWork(signal: AbortSignal): Promise<string | undefined> {
    const all = await this.deps.operations.list(signal)
    const open = all.find(({ record }) => !isOver(record) && laneOf(record) === 'cluster' && record.kind !== 'replace')
    return open && `operation ${open.record.id} (${open.record.kind}) is under way; cancel it if it does not get on`
  }

  /** A directory that is there again, or a log that may be: whether it is shows when the node is started, once. */
  async #isBack(node: Supervisor): Promise<boolean> {
    if (node.loss === undefined || (node.loss === 'log' && this.#tried.has(node.name))) return false
    if (!(await this.deps.fleet.holds(node))) return false
    if (node.loss === 'log') this.#tried.add(node.name)
    this.#startAgain(node)
    return true
  }

  #startAgain(node: Supervisor): void {
    node.restart(node.manner, this.deps.stopTimeoutMs)
  }

  #tellIfCutOff(): void {
    const { fleet, telemetry, replaceMachineAfterMs = 0 } = this.deps
    const { machines, of } = fleet.hearing.silent
    const isLong = (machine: string) => (fleet.hearing.silentMs(machine) ?? 0) >= replaceMachineAfterMs
    if (replaceMachineAfterMs > 0 && fleet.hearing.isCutOff && machines.some(isLong)) {
      this.#say(CUT_OFF, CUT_OFF, () => telemetry.emit('machines.unheard', { machines, of }))
    } else this.#said.delete(CUT_OFF)
  }

  #say(what: string, why: string, tell: () => void): void {
    if (this.#said.get(what) === why) return
    this.#said.set(what, why)
    tell()
  }
}
