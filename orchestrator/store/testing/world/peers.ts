// Who answers: nodes of shards, which lead or not, and gateways. What they agree on (who leads, who owns what, what each
// shard remembers of sessions) is taken for granted, as the promise of Raft; what a client sees of it is left to chance.
import { isPlaced, isWrite, type Operation, type Stamp } from '../../../core/operation.js'
import { type Code, KvError, kvError, type LeaderHint, type Outcome } from '../../../errors/index.js'
import type { Chance } from '../chance.js'
import { type Answer, refusal, SimSessions } from '../sim-sessions.js'
import type { Agenda } from './agenda.js'
import type { Truth } from './truth.js'
import type { Weather } from './weather.js'

export interface PeerWorld {
  readonly agenda: Agenda
  readonly chance: Chance
  readonly weather: Weather
  readonly truth: Truth
  /** Of the newest map. */
  readonly epoch: bigint
  ownerOf(key: Uint8Array): SimShard
  /** Whether the key is on its way to another shard. */
  isMoving(key: Uint8Array): boolean
}

/** A process that listens somewhere. */
export abstract class Peer {
  state: 'up' | 'paused' | 'down' = 'up'
  readonly #resumed: (() => void)[] = []

  constructor(
    readonly id: string,
    public address: string,
  ) {}

  /** One operation, now. */
  abstract answer(operation: Operation, stamp: Stamp | undefined): Answer

  /** Does something as soon as the process runs; never, if it ends before that. */
  whenRunning(event: () => void): void {
    if (this.state === 'up') event()
    else if (this.state === 'paused') this.#resumed.push(event)
  }

  turn(state: Peer['state']): void {
    this.state = state
    const waiting = this.#resumed.splice(0)
    if (state === 'up') for (const event of waiting) event()
    if (state === 'paused') this.#resumed.push(...waiting)
  }
}

/** A Raft group. */
export class SimShard {
  readonly nodes: SimNode[]
  readonly sessions: SimSessions
  leader: SimNode | undefined
  /** Whom each term elected. */
  readonly #elected: SimNode[] = []

  constructor(
    readonly id: number,
    nodes: number,
    private readonly world: PeerWorld,
  ) {
    this.sessions = new SimSessions(id)
    const name = (at: number) => `s${id}n${at + 1}`
    this.nodes = Array.from({ length: nodes }, (_, at) => new SimNode(name(at), `${name(at)}:1`, this, world))
  }

  get term(): number {
    return this.#elected.length
  }

  elect(): void {
    const candidates = this.nodes.filter(({ state }) => state === 'up')
    if (candidates.length * 2 <= this.nodes.length) return
    this.leader = this.world.chance.pick(candidates)
    this.#elected.push(this.leader)
  }

  /** Who was elected in a term, as a node says it. */
  hintOf(term: number): LeaderHint | undefined {
    const node = this.#elected[term - 1]
    return node && { nodeId: node.id, address: node.address, term: BigInt(term) }
  }

  /** What the state machine does with a committed operation, of a leader of now or of before. */
  apply(operation: Operation, stamp: Stamp | undefined): Answer {
    const { truth } = this.world
    if (operation.kind === 'open-session') return this.sessions.open()
    if (operation.kind === 'transaction') throw new Error('no client of this world sends one')
    if (operation.kind === 'touch' || operation.kind === 'ttl-of') throw new Error('nothing lives for a time here')
    if (isPlaced(operation)) throw new Error('nobody scans here, or asks for leases')
    if (!isWrite(operation)) return this.#owns(operation) ? truth.execute(operation) : this.wrongShard()
    if (stamp === undefined) throw new Error('a write came without a number')
    return this.sessions.once(stamp, operation, () =>
      this.#owns(operation) ? truth.execute(operation) : this.wrongShard(),
    )
  }

  wrongShard(): Answer {
    const { epoch, chance } = this.world
    const known = chance.happens(0.8) ? epoch : epoch - 1n
    return kvError('WRONG_SHARD', `not the key's shard`, { outcome: 'not-applied', epoch: known })
  }

  #owns({ key }: Operation): boolean {
    return this.world.ownerOf(key) === this
  }
}

export class SimNode extends Peer {
  /** It answers every operation so, whoever leads: for a total outage. */
  mood: (() => Answer) | undefined

  constructor(
    id: string,
    address: string,
    readonly shard: SimShard,
    private readonly world: PeerWorld,
  ) {
    super(id, address)
  }

  answer(operation: Operation, stamp: Stamp | undefined): Answer {
    const { weather, chance, isMoving } = { ...this.world, isMoving: this.world.isMoving(operation.key) }
    if (this.mood !== undefined) return this.mood()
    if (this.shard.leader !== this) return this.#notLeader()
    if (weather.strikes('overloaded')) return overloaded(chance)
    if (isMoving && isWrite(operation)) {
      return kvError('MOVING', 'for a moment', { outcome: 'not-applied', epoch: this.world.epoch })
    }
    if (isWrite(operation) && weather.strikes('tooLarge')) return refusal('TOO_LARGE', 'more than this node takes')
    if (weather.strikes('deposed')) return this.#lost(operation, stamp)
    if (weather.strikes('stopping')) return refusal('UNAVAILABLE', 'about to stop')
    const answer = this.shard.apply(operation, stamp)
    const broken = isWrite(operation) && !(answer instanceof KvError) && weather.strikes('answerLostInNode')
    return broken ? kvError('INTERNAL', 'applied, but the answer was lost', { outcome: 'applied' }) : answer
  }

  /** What it believes of the leader may be old, or nothing at all; now and then it is wrong. */
  #notLeader(): Answer {
    const { chance, weather } = this.world
    const { term, nodes } = this.shard
    const believed = weather.strikes('oldHint') ? chance.between(0, term) : term
    const hint = this.shard.leader === undefined && chance.happens(0.5) ? undefined : this.shard.hintOf(believed)
    const said = hint && weather.strikes('wrongHint') ? { ...hint, nodeId: chance.pick([...nodes, GHOST]).id } : hint
    return kvError('NOT_LEADER', `${this.id} does not lead`, { outcome: 'not-applied', node: this.id, leader: said })
  }

  /** It lost its leadership with the entry in its log, where it may have been committed, may yet be, or may not. */
  #lost(operation: Operation, stamp: Stamp | undefined): Answer {
    const { agenda, chance } = this.world
    if (this.shard.leader === this) this.shard.leader = undefined
    if (!isWrite(operation)) return refusal('UNAVAILABLE', 'lost its leadership')
    const fate = chance.below(3)
    if (fate === 0) this.shard.apply(operation, stamp)
    if (fate === 1) agenda.plan(chance.between(1, 400), () => this.shard.apply(operation, stamp))
    return failed(chance.pick(['UNAVAILABLE', 'DEADLINE_EXCEEDED'] as const), 'unknown')
  }
}

/** A Kvorum gateway: it finds every leader by itself, with luck in time. */
export class SimGateway extends Peer {
  constructor(
    address: string,
    private readonly world: PeerWorld,
  ) {
    super(address, address)
  }

  answer(operation: Operation, stamp: Stamp | undefined): Answer {
    const { chance, weather } = this.world
    if (weather.strikes('overloaded')) return overloaded(chance)
    const shard = this.world.ownerOf(operation.key)
    if (shard.leader?.state !== 'up') return refusal('DEADLINE_EXCEEDED', 'found no leader in time')
    return shard.leader.answer(operation, stamp)
  }
}

/** A node that is not in the map. */
const GHOST = { id: 'ghost' }

function overloaded(chance: Chance): Answer {
  const retryAfterMs = chance.pick([undefined, 5, 20])
  return kvError('OVERLOADED', 'full', { outcome: 'not-applied', retryAfterMs })
}

export function failed(code: Code, outcome: Outcome): Answer {
  return kvError(code, 'so the simulation wants it', { outcome })
}
