// A client's Store writes through a gateway's Store to three nodes. Between them messages come late or never, connections
// break, gateways restart, sessions expire, leaders change and callers lose patience, all of it drawn from one seed. At the
// end, what each write was told is held against what the state machine did.
import { MapCell } from '../../core/map-source.js'
import type { Operation, Result, Stamp } from '../../core/operation.js'
import { seededRng } from '../../core/rng.js'
import { limitsWith } from '../../core/testing/limits.js'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { KvError, kvError } from '../../errors/index.js'
import { operationFromWire, resultToWire } from '../../wire/convert.js'
import type { BatchRequest, Operation as WireOperation } from '../../wire/gen/kvorum/v1/kv.js'
import type { ConnectionHandlers } from '../../wire/lane-connection.js'
import { stampsFromWire } from '../../wire/stamps.js'
import { FakeConnection, turn } from '../../wire/testing/fake-connection.js'
import { Store } from '../store.js'
import { Chance } from './chance.js'
import { oneShard } from './sim-cluster.js'
import { type Answer, refusal, SimSessions } from './sim-sessions.js'

export interface OnceReport {
  /** What the writes were told (`ok`, or code and outcome), and how many of them. */
  readonly told: ReadonlyMap<string, number>
  /** How many sessions were opened. */
  readonly sessions: number
  /** How often a number came again whose write was applied or refused already. */
  readonly repeats: number
  /** What must never be. */
  readonly faults: readonly string[]
}

const WRITES = 150
const KEYS = 7
const NODES = 3
const DEADLINE_MS = 400
const IMPATIENT_DEADLINE_MS = 40
/** Until another node leads. */
const TERM_MS = 150
const STALL_MS = 60
const STEP_MS = 5
/** Of everything that may go wrong, at the worst. Each run has its own share of it, so that some runs are calm. */
const FAULT_RATE_MAX = 0.25

export async function runOnce(seed: number): Promise<OnceReport> {
  const sim = new OnceSim(seed)
  for (let id = 1; id <= WRITES; id++) await sim.step(id)
  return sim.end()
}

/** What goes wrong and when, and all that is late. */
class Chaos extends Chance {
  readonly #rate: number
  readonly #late: (() => void)[] = []

  constructor(seed: number) {
    super(seed)
    this.#rate = FAULT_RATE_MAX * this.float()
  }

  /** A fault with this share of the run's rate. */
  strikes(share: number): boolean {
    return this.happens(this.#rate * share)
  }

  later(event: () => void): void {
    this.#late.push(event)
  }

  /** Some of what is late happens now, in any order. Says whether anything did. */
  catchUp(probability: number): boolean {
    let happened = false
    for (; this.#late.length > 0 && this.happens(probability); happened = true) {
      this.#late.splice(this.below(this.#late.length), 1)[0]?.()
    }
    return happened
  }
}

/** The write with this number. Its value says so, and so does its answer: as a length, or as a version if it is refused. */
function writeOf(id: number): Operation {
  const key = Buffer.from(`key ${id % KEYS}`)
  const value = Buffer.from(String(id))
  return isRefused(id) ? { kind: 'put', key, value, ifVersion: 99n } : { kind: 'append', key, value }
}

/** Its condition does not hold: the state machine itself says no. */
function isRefused(id: number): boolean {
  return id % 10 === 0
}

/** One of the nodes has smaller limits than the others, and says no before the state machine is asked. */
function isTooLargeFor(id: number, address: string): boolean {
  return id % 10 === 5 && address === `h:${NODES}`
}

/** What all nodes of the shard agree on. */
class StateMachine {
  readonly sessions = new SimSessions()
  /** How often each write was applied. */
  readonly applied = new Map<number, number>()

  apply(operation: Operation, stamp: Stamp | undefined): Answer {
    if (operation.kind === 'open-session') return this.sessions.open()
    if (stamp === undefined) throw new Error('a write came without a number')
    return this.sessions.once(stamp, operation, () => this.#write(operation))
  }

  #write(operation: Operation): Answer {
    const id = idOf(operation)
    if (isRefused(id)) return refusal('PRECONDITION_FAILED', 'another version', BigInt(id))
    this.applied.set(id, (this.applied.get(id) ?? 0) + 1)
    return { kind: 'append', version: 1n, length: id }
  }
}

function idOf(operation: Operation): number {
  if (operation.kind !== 'append' && operation.kind !== 'put') throw new Error(`${operation.kind} is no write of ours`)
  return Number(Buffer.from(operation.value).toString())
}

function operationOf(wire: WireOperation): Operation {
  const operation = operationFromWire(wire)
  if (operation === undefined) throw new Error('unknown kind')
  return operation
}

function reply(connection: FakeConnection, message: BatchRequest, answers: Answer[], positions: number[] = []): void {
  if (!connection.closed) connection.receive({ id: message.id, results: answers.map(resultToWire), positions })
}

type Serve = (connection: FakeConnection, message: BatchRequest) => void

/** The connections from a Store to those that it asks. */
class Network {
  #connections: FakeConnection[] = []
  readonly #opened = new Set<FakeConnection>()

  constructor(
    private readonly chaos: Chaos,
    private readonly serve: Serve,
  ) {}

  connect(address: string, handlers: ConnectionHandlers): FakeConnection {
    const connection = new FakeConnection(address, handlers)
    this.#connections.push(connection)
    return connection
  }

  /** Opens connections and carries messages. Says whether there was anything to do. */
  work(): boolean {
    this.#connections = this.#connections.filter((connection) => !connection.closed)
    let worked = false
    for (const connection of this.#connections) {
      // Work on another one may have closed it.
      if (!connection.closed) worked = this.#workOn(connection) || worked
    }
    return worked
  }

  breakAll(): void {
    for (const connection of [...this.#connections]) if (!connection.closed) connection.break()
  }

  #workOn(connection: FakeConnection): boolean {
    if (!this.#opened.has(connection)) {
      this.#opened.add(connection)
      connection.open()
      return true
    }
    const messages = connection.written.splice(0)
    for (const message of messages) {
      // What was on its way when its connection broke may arrive all the same.
      if (connection.closed && this.chaos.happens(0.5)) continue
      if (connection.closed || this.chaos.strikes(1 / 2)) this.chaos.later(() => this.serve(connection, message))
      else this.serve(connection, message)
    }
    return messages.length > 0
  }
}

/** The nodes of the shard, which lead in turns. */
class Nodes {
  readonly machine = new StateMachine()

  constructor(
    private readonly chaos: Chaos,
    private readonly clock: ManualClock,
  ) {}

  serve(connection: FakeConnection, message: BatchRequest): void {
    const stamps = stampsFromWire(message.operations, message.sessions)
    const answers = message.operations.map((wire, at) =>
      this.#answer(connection.address, operationOf(wire), stamps[at]),
    )
    if (this.chaos.strikes(1 / 3)) {
      if (!connection.closed) connection.break()
    } else if (this.chaos.strikes(1 / 2)) this.chaos.later(() => reply(connection, message, answers))
    else reply(connection, message, answers)
  }

  #answer(address: string, operation: Operation, stamp: Stamp | undefined): Answer {
    const leader = `h:${1 + (Math.floor(this.clock.monotonic() / TERM_MS) % NODES)}`
    if (address !== leader || this.chaos.strikes(1 / 2)) {
      if (this.chaos.happens(0.2)) return refusal('OVERLOADED', 'full')
      return refusal('NOT_LEADER', `${address} does not lead`)
    }
    if (operation.kind === 'get') return { kind: 'get', found: false, value: new Uint8Array(), version: 0n }
    if (operation.kind !== 'open-session' && isTooLargeFor(idOf(operation), address)) {
      return refusal('TOO_LARGE', 'more than this node takes')
    }
    if (!this.chaos.strikes(1)) return this.machine.apply(operation, stamp)
    // The node lost its leadership with the entry in its log, where it may have been committed, may yet be, or may not.
    const fate = this.chaos.below(3)
    if (fate === 0) this.machine.apply(operation, stamp)
    if (fate === 1) this.chaos.later(() => this.machine.apply(operation, stamp))
    return kvError('UNAVAILABLE', 'lost on the way', { outcome: 'unknown' })
  }
}

class OnceSim {
  readonly #clock = new ManualClock()
  readonly #chaos: Chaos
  readonly #nodes: Nodes
  readonly #inner: Network
  readonly #outer: Network
  readonly #client: Store
  #gateway: Store
  readonly #answers = new Map<number, Answer>()
  readonly #ends: Promise<void>[] = []
  readonly #faults: string[] = []

  /** `seed` decides on everything, the jitter of the stores included. */
  constructor(private readonly seed: number) {
    this.#chaos = new Chaos(seed)
    this.#nodes = new Nodes(this.#chaos, this.#clock)
    this.#inner = new Network(this.#chaos, (connection, message) => this.#nodes.serve(connection, message))
    this.#outer = new Network(this.#chaos, (connection, message) => this.#forward(connection, message))
    // A client leaves it to its gateway to notice nodes that stall.
    this.#client = this.#newStore(this.#outer, 1, Number.POSITIVE_INFINITY)
    this.#gateway = this.#newStore(this.#inner, NODES, STALL_MS)
  }

  /** Begins a write, and then perhaps lets some time pass and something go wrong. */
  async step(id: number): Promise<void> {
    this.#write(id)
    if (this.#chaos.happens(0.5)) await this.#pass(1 + this.#chaos.below(20))
    if (this.#chaos.strikes(1 / 8)) this.#nodes.machine.sessions.expire()
    if (this.#chaos.strikes(1 / 10)) this.#restartGateway()
    this.#chaos.catchUp(0.2)
  }

  async end(): Promise<OnceReport> {
    // Some clients close while writes are under way; the others see each one answered in time.
    if (this.#chaos.happens(0.75)) {
      // An answer may be as late as the timers are.
      for (let ms = 0; ms < DEADLINE_MS + 10 * STEP_MS; ms += STEP_MS) {
        await this.#pass(STEP_MS)
        this.#chaos.catchUp(0.1)
      }
      if (this.#answers.size < WRITES) this.#faults.push(`only ${this.#answers.size} were answered by the deadline`)
    }
    this.#client.close()
    await Promise.all(this.#ends)
    // What they were told stays true whatever arrives now.
    for (let more = true; more; more = this.#chaos.catchUp(1)) await this.#settle()
    this.#gateway.close()
    return this.#report()
  }

  #write(id: number): void {
    const abort = new AbortController()
    const deadlineMs = this.#chaos.happens(0.2) ? IMPATIENT_DEADLINE_MS : DEADLINE_MS
    const told = (answer: unknown) => this.#told(id, answer)
    this.#ends.push(this.#client.execute(writeOf(id), { deadlineMs, signal: abort.signal }).then(told, told))
    if (this.#chaos.strikes(1 / 3)) this.#chaos.later(() => abort.abort())
  }

  #told(id: number, answer: unknown): void {
    if (answer instanceof KvError) this.#answers.set(id, answer)
    else if (answer instanceof Error) this.#faults.push(`write ${id} ended in ${String(answer)}`)
    else this.#answers.set(id, answer as Result)
  }

  /** The gateway answers each write as soon as it can: in parts. */
  #forward(connection: FakeConnection, message: BatchRequest): void {
    const stamps = stampsFromWire(message.operations, message.sessions)
    for (const [at, wire] of message.operations.entries()) {
      const done = (error?: KvError, result?: Result) => reply(connection, message, [error ?? (result as Result)], [at])
      this.#gateway.submit(operationOf(wire), message.timeoutMs, done, stamps[at])
    }
    if (this.#chaos.strikes(1 / 3) && !connection.closed) connection.break()
  }

  #restartGateway(): void {
    this.#gateway.close()
    this.#gateway = this.#newStore(this.#inner, NODES, STALL_MS)
    this.#outer.breakAll()
  }

  #newStore(network: Network, nodes: number, stallMs: number): Store {
    return new Store({
      map: new MapCell(oneShard(nodes)),
      clock: this.#clock,
      rng: seededRng(this.seed + nodes),
      limits: limitsWith({ deadlineMs: DEADLINE_MS }),
      stallMs,
      connect: (address, handlers) => network.connect(address, handlers),
    })
  }

  async #pass(ms: number): Promise<void> {
    this.#clock.advance(ms)
    await this.#settle()
  }

  /** Lets all happen that can happen without time passing. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await turn()
      quiet = [this.#inner.work(), this.#outer.work()].includes(true) ? 0 : quiet + 1
    }
  }

  #report(): OnceReport {
    const { applied, sessions } = this.#nodes.machine
    const told = new Map<string, number>()
    const faults = [...this.#faults]
    for (const [id, answer] of this.#answers) {
      const said = answer instanceof KvError ? `${answer.code}/${answer.outcome}` : 'ok'
      told.set(said, (told.get(said) ?? 0) + 1)
      const fault = faultOf(id, answer, applied.get(id) ?? 0)
      if (fault !== undefined) faults.push(`write ${id} was told ${said}, but ${fault}`)
    }
    return { told, sessions: sessions.opened, repeats: sessions.repeats, faults }
  }
}

/** What is wrong with the answer to a write that the state machine applied so many times. */
function faultOf(id: number, answer: Answer, times: number): string | undefined {
  if (times > 1) return `was applied ${times} times`
  if (answer instanceof KvError) {
    if (answer.outcome === 'not-applied' && times > 0) return 'was applied'
    return answer.code === 'PRECONDITION_FAILED' && answer.version !== BigInt(id) ? ANOTHERS : undefined
  }
  if (times === 0) return 'was not applied'
  return answer.kind === 'append' && answer.length === id ? undefined : ANOTHERS
}

const ANOTHERS = "that is another one's answer"
