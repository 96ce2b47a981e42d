import { isPlaced, type Operation, type Result, type Stamp } from '../../core/operation.js'
import { PARTITIONS } from '../../core/slot.js'
import { type ClusterMap, makeClusterMap } from '../../core/topology.js'
import { type KvError, NotLeaderError, PreconditionFailedError, UnsupportedError } from '../../errors/index.js'
import { type BatchCall, type BatchMessage, BatchStream } from '../batch-stream.js'
import { type Listener, listen } from '../listener.js'
import type { PeerIdentity } from '../peer.js'
import { kvService } from '../services.js'
import { FakeLeases } from './fake-leases.js'
import { refusal } from './identity.js'
import { transactOn } from './transact.js'

export interface Row {
  value: Uint8Array
  version: bigint
}

type Answer = Result | KvError

/**
 * A server of kvorum.v1.KV in this process, for tests: it keeps its rows in a Map, and answers as a test tells it to. Only
 * Batch and the cluster map are served. It opens sessions, and does what it is told as often as it is told.
 */
export class FakeNode {
  readonly messages: BatchMessage[] = []
  /** What it says to an operation; by default it leads and executes it. */
  answer: (operation: Operation, stamp?: Stamp) => Answer = (operation) => this.execute(operation)
  /** Who it is: it refuses calls that are meant for others. By default it does not look. */
  identity: PeerIdentity | undefined
  #listener: Listener | undefined
  #port = 0
  readonly #streams = new Set<BatchStream>()
  #held: (() => void)[] | undefined

  private constructor(readonly rows: Map<string, Row>) {}

  /** Several nodes of one shard may share their rows. */
  /** How long those of them live that do not live for ever. */
  readonly ttls = new Map<string, number>()
  readonly leases = new FakeLeases((key) => this.rows.delete(key))

  static async start(port = 0, rows = new Map<string, Row>()): Promise<FakeNode> {
    const node = new FakeNode(rows)
    await node.#listen(port)
    return node
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Also of one that is closed: others may still name it. */
  get port(): number {
    return this.#port
  }

  get operations(): Operation[] {
    return this.messages.flatMap((message) => message.operations.filter((operation) => operation !== undefined))
  }

  /** From now on it says that it does not lead, with or without a hint. */
  follow(hint?: { node: FakeNode; nodeId: string; term: bigint }): void {
    const leader = hint && { nodeId: hint.nodeId, address: hint.node.address, term: hint.term }
    this.answer = () => new NotLeaderError('not the leader', { outcome: 'not-applied', leader })
  }

  lead(): void {
    this.answer = (operation) => this.execute(operation)
  }

  /** Takes messages and answers none, like a paused process, until `release`. */
  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const answer of held) answer()
  }

  /** Cuts all connections at once, as a kill does, and frees the port. */
  async close(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    await listener?.close()
  }

  /** Ends the streams in order, and goes on listening. */
  endStreams(): void {
    for (const stream of this.#streams) stream.end()
  }

  execute(operation: Operation): Result | KvError {
    const key = Buffer.from(operation.key).toString('latin1')
    const row = this.rows.get(key)
    if (operation.kind === 'get') {
      return {
        kind: 'get',
        found: row !== undefined,
        value: row?.value ?? Buffer.alloc(0),
        version: row?.version ?? 0n,
        ttlMs: this.ttls.get(key),
      }
    }
    if (operation.kind === 'ttl-of') return { kind: 'ttl-of', found: row !== undefined, ttlMs: this.ttls.get(key) }
    if (operation.kind === 'touch') {
      if (row !== undefined) this.#live(key, operation.ttlMs)
      return { kind: 'touch', existed: row !== undefined }
    }
    if (operation.kind === 'transaction') return transactOn(operation, this.rows, (one) => this.execute(one))
    if (operation.kind === 'open-session') return { kind: 'open-session', id: this.#newSession() }
    if (isPlaced(operation) && operation.kind !== 'page') return this.leases.execute(operation)
    if (operation.kind === 'page') return { kind: 'page', entries: [], count: this.rows.size, next: undefined }
    const version = row?.version ?? 0n
    if (operation.kind === 'append') {
      const value = Buffer.concat([row?.value ?? Buffer.alloc(0), operation.value])
      this.rows.set(key, { value, version: version + 1n })
      return { kind: 'append', version: version + 1n, length: value.length }
    }
    const failed = new PreconditionFailedError(`the version is ${version}`, { outcome: 'not-applied', version })
    if (operation.kind === 'increment') {
      const value = BigInt(Buffer.from(row?.value ?? '0').toString()) + operation.by
      this.rows.set(key, { value: Buffer.from(`${value}`), version: version + 1n })
      return { kind: 'increment', value, version: version + 1n }
    }
    if (operation.kind === 'compare-and-set') {
      const { expected } = operation
      if (expected === undefined ? row !== undefined : !row || Buffer.compare(expected, row.value) !== 0) return failed
      this.rows.set(key, { value: operation.value, version: version + 1n })
      return { kind: 'compare-and-set', version: version + 1n }
    }
    if (operation.ifVersion !== undefined && operation.ifVersion !== version) return failed
    const previous = operation.returnPrevious ? row : undefined
    if (operation.kind === 'delete') return { kind: 'delete', existed: this.rows.delete(key), previous }
    const gone = this.leases.attach(key, operation.lease)
    if (gone !== undefined) return gone
    this.rows.set(key, { value: operation.value, version: version + 1n })
    this.#live(key, operation.ttlMs)
    return { kind: 'put', version: version + 1n, previous }
  }

  /** Its time does not pass. */
  #live(key: string, ttlMs: number | undefined): void {
    if (ttlMs === undefined) this.ttls.delete(key)
    else this.ttls.set(key, ttlMs)
  }

  #sessions = 0

  #newSession(): Uint8Array {
    const id = Buffer.alloc(16)
    id.writeUInt32BE(++this.#sessions)
    return id
  }

  /** It is the only node of the only shard. */
  async *#map(signal: AbortSignal): AsyncGenerator<ClusterMap> {
    const shards = [{ id: 1, nodes: [{ id: 'n1', address: this.address }] }]
    yield makeClusterMap({ clusterId: 'fake', epoch: 1n, owners: Array(PARTITIONS).fill(1), shards })
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  }

  async #listen(port: number): Promise<void> {
    const unserved = () => Promise.reject(new UnsupportedError('only Batch is served here', { outcome: 'not-applied' }))
    const service = kvService({
      get: unserved,
      put: unserved,
      delete: unserved,
      transaction: unserved,
      clusterMap: (signal) => this.#map(signal),
      batch: (stream) => stream.end(),
    })
    const batch = (call: BatchCall) => {
      const refused = refusal(call.metadata, this.identity)
      if (refused === undefined) this.#serve(new BatchStream(call))
      else call.emit('error', refused)
    }
    const checked = { ...service, implementation: { ...service.implementation, batch } }
    this.#listener = await listen({ host: '127.0.0.1', port }, [checked])
    this.#port = this.#listener.port
  }

  #serve(stream: BatchStream): void {
    this.#streams.add(stream)
    const onMessage = (message: BatchMessage) => {
      this.messages.push(message)
      const reply = () =>
        stream.send(
          message.id,
          message.operations.map((one, at) => this.#answerTo(one, message.stamps[at])),
          () => {},
        )
      if (this.#held === undefined) reply()
      else this.#held.push(reply)
    }
    stream.listen({ onMessage, onEnd: () => stream.end(), onGone: () => this.#streams.delete(stream) })
  }

  #answerTo(operation: Operation | undefined, stamp: Stamp | undefined): Answer {
    if (operation === undefined) return new UnsupportedError('unknown kind', { outcome: 'not-applied' })
    return this.answer(operation, stamp)
  }
}
