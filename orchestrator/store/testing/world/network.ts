import type { Operation } from '../../../core/operation.js'
import { WrongPeerError } from '../../../errors/index.js'
import { operationFromWire, resultToWire } from '../../../wire/convert.js'
import type { BatchRequest } from '../../../wire/gen/kvorum/v1/kv.js'
import type { ConnectionHandlers, LaneConnection } from '../../../wire/lane-connection.js'
import type { PeerIdentity } from '../../../wire/peer.js'
import { stampsFromWire } from '../../../wire/stamps.js'
import type { Answer } from '../sim-sessions.js'
import type { Cluster } from './cluster.js'
import { type Peer, SimNode } from './peers.js'
import { isNumbered, writeIdOf } from './truth.js'

/** Messages take so long, ms. */
const TRANSIT = [1, 8] as const
const LATE = [40, 500] as const

/** What is cut off either is refused, or waits for the end of it without a word. */
interface Cut {
  readonly refuses: boolean
  readonly waiting: (() => void)[]
}

class SimConnection implements LaneConnection {
  closed = false
  /** Who accepted it. */
  peer: Peer | undefined

  constructor(
    readonly client: number,
    readonly address: string,
    readonly handlers: ConnectionHandlers,
    readonly meant: PeerIdentity | undefined,
    private readonly network: Network,
  ) {}

  write(message: BatchRequest): void {
    this.network.carry(this, message)
  }

  close(): void {
    this.closed = true
    this.network.forget(this)
  }

  break(cause: Error = new Error('the connection broke')): void {
    if (!this.closed) this.handlers.broken(cause)
  }
}

/** The connections from the clients to those that they ask. */
export class Network {
  readonly open = new Set<SimConnection>()
  /** What the clients asked of it, by now. */
  connects = 0
  messages = 0
  /** How often each write was sent. */
  readonly copies = new Map<number, number>()
  readonly #cuts = new Map<string, Cut>()

  constructor(private readonly cluster: Cluster) {
    cluster.ended = (peer) => this.#breakAll((connection) => connection.peer === peer)
  }

  connect(client: number, address: string, handlers: ConnectionHandlers, meant?: PeerIdentity): LaneConnection {
    const connection = new SimConnection(client, address, handlers, meant, this)
    this.connects++
    this.open.add(connection)
    this.#later(() => this.#through(connection, () => this.#accept(connection)))
    return connection
  }

  forget(connection: SimConnection): void {
    this.open.delete(connection)
  }

  /** A client does not reach a shard's nodes for a while. */
  cut(client: number, nodes: readonly Peer[], ms: number): void {
    const { chance, agenda } = this.cluster
    const cut: Cut = { refuses: chance.happens(0.5), waiting: [] }
    const names = nodes.map(({ address }) => `${client} ${address}`).filter((name) => !this.#cuts.has(name))
    for (const name of names) this.#cuts.set(name, cut)
    if (cut.refuses) this.#breakAll((connection) => this.#cutOf(connection) === cut)
    agenda.plan(ms, () => this.#mend(cut))
  }

  heal(): void {
    for (const cut of new Set(this.#cuts.values())) this.#mend(cut)
  }

  carry(connection: SimConnection, message: BatchRequest): void {
    this.messages++
    for (const operation of message.operations.map(operationOf)) {
      if (!isNumbered(operation)) continue
      const id = writeIdOf(operation)
      this.copies.set(id, (this.copies.get(id) ?? 0) + 1)
    }
    const { peer } = connection
    const arrive = () => {
      // What was on its way when its connection broke may arrive all the same, unless the process is another one.
      if (connection.closed && this.cluster.chance.happens(0.5)) return
      peer?.whenRunning(() => this.#serve(connection, peer, message))
    }
    this.#later(() => this.#through(connection, arrive), this.cluster.weather.strikes('messageLate'))
  }

  #accept(connection: SimConnection): void {
    if (connection.closed) return
    const peer = this.cluster.peerAt(connection.address)
    const refused = this.#cutOf(connection)?.refuses || peer?.state === 'down'
    if (peer === undefined || refused) {
      connection.break(new Error('refused'))
      return
    }
    peer.whenRunning(() => {
      if (connection.closed) return
      const isMeant = !(peer instanceof SimNode) || peer.id === connection.meant?.node
      if (isMeant) connection.peer = peer
      connection.handlers.opened()
      if (!isMeant) this.#later(() => connection.break(new WrongPeerError('not me', { outcome: 'not-applied' })))
    })
  }

  /** The operations of a message are concurrent. */
  #serve(connection: SimConnection, peer: Peer, message: BatchRequest): void {
    const { chance, weather } = this.cluster
    const stamps = stampsFromWire(message.operations, message.sessions)
    const answers: Answer[] = []
    for (const at of chance.shuffled([...message.operations.keys()])) {
      answers[at] = peer.answer(operationOf(message.operations[at]), stamps[at])
    }
    if (weather.strikes('connectionBreaks')) connection.break()
    else if (weather.strikes('answerInParts')) {
      for (const at of answers.keys()) this.#reply(connection, message, answers, [at])
    } else this.#reply(connection, message, answers, [])
  }

  /** `positions`: of which operations; none: of all. */
  #reply(connection: SimConnection, { id }: BatchRequest, answers: readonly Answer[], positions: number[]): void {
    const told = positions.length === 0 ? answers : positions.map((at) => answers[at] as Answer)
    const arrive = () => {
      if (!connection.closed) connection.handlers.received({ id, results: told.map(resultToWire), positions })
    }
    this.#later(() => this.#through(connection, arrive), this.cluster.weather.strikes('answerLate'))
  }

  #through(connection: SimConnection, arrive: () => void): void {
    const cut = this.#cutOf(connection)
    if (cut === undefined || cut.refuses) arrive()
    else cut.waiting.push(arrive)
  }

  #mend(cut: Cut): void {
    for (const [name, one] of this.#cuts) if (one === cut) this.#cuts.delete(name)
    for (const event of cut.waiting.splice(0)) event()
  }

  #cutOf({ client, address }: SimConnection): Cut | undefined {
    return this.#cuts.get(`${client} ${address}`)
  }

  #breakAll(which: (connection: SimConnection) => boolean): void {
    for (const connection of [...this.open]) if (which(connection)) connection.break()
  }

  #later(event: () => void, late = false): void {
    const [least, most] = late ? LATE : TRANSIT
    this.cluster.agenda.plan(this.cluster.chance.between(least, most), event)
  }
}

function operationOf(wire: BatchRequest['operations'][number] | undefined): Operation {
  const operation = wire && operationFromWire(wire)
  if (operation === undefined) throw new Error('unknown kind')
  return operation
}
