// Stores on a simulated network: clients with deadlines and signals, shards that elect, move and come and go, messages that
// come late or never, gateways, maps of different ages. All of it is drawn from one seed; what the clients are told is held
// against the truth.
import type { Limits } from '../../../core/limits.js'
import type { Operation } from '../../../core/operation.js'
import { ManualClock } from '../../../core/testing/manual-clock.js'
import { KvError } from '../../../errors/index.js'
import { turn } from '../../../wire/testing/fake-connection.js'
import { Chance } from '../chance.js'
import { Agenda } from './agenda.js'
import { SimClient } from './client.js'
import { Cluster } from './cluster.js'
import { Network } from './network.js'
import { isNumbered, Truth, writeIdOf } from './truth.js'
import { Weather } from './weather.js'

export interface WorldReport {
  /** What the calls were told: the kind, and `ok` or code and outcome; and how often. */
  readonly told: ReadonlyMap<string, number>
  /** How often a number came again that had its answer. */
  readonly repeats: number
  /** The map's epoch at the end. */
  readonly epoch: bigint
  /** The longest that a call took beyond its deadline, ms. */
  readonly lateMs: number
  /** What must never be. */
  readonly faults: readonly string[]
}

const CLIENTS = 2
const STEP_MS_MAX = 6
/** A call may end so much after its deadline: a tick of the lane, and what a step takes. */
const LATE_MS_MAX = 25 + 2 * STEP_MS_MAX
/** The longest deadline of a call. */
const DEADLINE_MS_MAX = 1500
/** By then a lane has given up what nobody waits for. */
const IDLE_MS = 8000
const IDLE_STEP_MS = 25

/** So many attempts there may be before a deadline: the shortest waits between them, and one redirect at once for each. */
export function attemptsMax(deadlineMs: number): number {
  let waits = 0
  for (let passed = 0; passed < deadlineMs; waits++) passed += Math.min(25, 2 ** waits)
  return 2 * (waits + 1)
}

export async function runWorld(seed: number, steps: number): Promise<WorldReport> {
  const world = new World(seed)
  for (let step = 0; step < steps; step++) await world.step()
  return world.end()
}

export class World {
  readonly clock = new ManualClock()
  readonly chance: Chance
  readonly truth = new Truth()
  readonly agenda = new Agenda()
  readonly weather: Weather
  readonly cluster: Cluster
  readonly network: Network
  readonly clients: readonly SimClient[]
  readonly #faults: string[] = []
  #calls = 0

  /** Without `limits` chance gives each client its own. */
  constructor(seed: number, limits?: Limits) {
    this.chance = new Chance(seed)
    this.weather = new Weather(this.chance)
    this.cluster = new Cluster(this.agenda, this.chance, this.weather, this.truth)
    this.network = new Network(this.cluster)
    for (const { sessions } of this.cluster.shards) sessions.forgotten = (write) => this.#checkForgotten(write)
    this.clients = Array.from({ length: CLIENTS }, (_, at) => new SimClient(at, seed + 1 + at, this, limits))
  }

  nextId(): number {
    return ++this.#calls
  }

  async step(): Promise<void> {
    this.cluster.step()
    for (const client of this.clients) {
      client.step()
      if (this.chance.happens(0.5)) client.call()
    }
    await this.pass(this.chance.between(1, STEP_MS_MAX))
  }

  /** Most clients see the end of the bad weather; some close in the middle of it. */
  async end(): Promise<WorldReport> {
    if (this.chance.happens(0.7)) {
      this.#heal()
      await this.#settle(DEADLINE_MS_MAX + LATE_MS_MAX)
      await this.#checkService()
      for (let ms = 0; ms < IDLE_MS; ms += IDLE_STEP_MS) await this.pass(IDLE_STEP_MS)
      if (this.clock.pending > 0) this.#faults.push(`${this.clock.pending} timers of stores that have nothing to do`)
    }
    await this.#close()
    return this.#report()
  }

  /** Time passes for the stores and for all else. */
  async pass(ms: number): Promise<void> {
    this.agenda.advance(ms)
    this.clock.advance(ms)
    // What stores gathered in this turn of the event loop is sent at its end.
    await turn()
  }

  #heal(): void {
    this.weather.calm()
    this.cluster.heal()
    this.network.heal()
    for (const client of this.clients) client.heal()
  }

  async #settle(ms: number): Promise<void> {
    const isOpen = () => this.clients.some(({ open }) => open.size > 0)
    for (let passed = 0; passed < ms && isOpen(); passed += 5) await this.pass(5)
    for (const { open } of this.clients) for (const id of open) this.#faults.push(`call ${id} has no answer`)
  }

  /** Once nothing goes wrong any more, everything is answered. */
  async #checkService(): Promise<void> {
    for (const client of this.clients) {
      const before = client.ended.length
      for (let call = 0; call < 10; call++) client.call(DEADLINE_MS_MAX)
      await this.#settle(DEADLINE_MS_MAX + LATE_MS_MAX)
      for (const { id, answer } of client.ended.slice(before)) {
        if (!(answer instanceof KvError) || answer.code === 'PRECONDITION_FAILED') continue
        this.#faults.push(`call ${id} failed although all is well: ${answer.message}`)
      }
    }
  }

  #checkForgotten(write: Operation): void {
    if (!isNumbered(write)) return
    const id = writeIdOf(write)
    if (this.clients.some(({ open }) => open.has(id)))
      this.#faults.push(`call ${id} waits for a number below the floor`)
  }

  async #close(): Promise<void> {
    for (const client of this.clients) client.close()
    for (const { open, listens } of this.clients) {
      for (const id of open) this.#faults.push(`call ${id} has no answer although its store is closed`)
      if (listens) this.#faults.push('a closed store listens for maps')
    }
    if (this.clock.pending > 0) this.#faults.push(`${this.clock.pending} timers of stores that are closed`)
    if (this.network.open.size > 0) this.#faults.push(`${this.network.open.size} connections of stores that are closed`)
    const { connects, messages } = this.network
    // What calls were told stays true whatever arrives now.
    this.cluster.heal()
    for (let step = 0; step < 1000 && this.agenda.size > 0; step++) await this.pass(IDLE_STEP_MS)
    if (this.network.connects + this.network.messages > connects + messages) this.#faults.push('a closed store asks')
  }

  #report(): WorldReport {
    const told = new Map<string, number>()
    let lateMs = 0
    for (const client of this.clients) {
      this.#faults.push(...client.faults)
      for (const ended of client.ended) {
        const { id, operation, answer, deadlineMs, tookMs } = ended
        const said = `${operation.kind} ${answer instanceof KvError ? `${answer.code}/${answer.outcome}` : 'ok'}`
        told.set(said, (told.get(said) ?? 0) + 1)
        lateMs = Math.max(lateMs, tookMs - deadlineMs)
        const copies = this.network.copies.get(id) ?? 0
        const fault = this.truth.faultOf(ended) ?? faultOfEffort(copies, deadlineMs, tookMs)
        if (fault !== undefined) this.#faults.push(`call ${id} (${said}): ${fault}`)
      }
    }
    const repeats = this.cluster.shards.reduce((sum, { sessions }) => sum + sessions.repeats, 0)
    return { told, repeats, epoch: this.cluster.epoch, lateMs, faults: this.#faults }
  }
}

function faultOfEffort(copies: number, deadlineMs: number, tookMs: number): string | undefined {
  if (tookMs > deadlineMs + LATE_MS_MAX) return `it took ${tookMs} ms, and had ${deadlineMs}`
  if (copies > attemptsMax(deadlineMs)) return `it was sent ${copies} times`
  return undefined
}
