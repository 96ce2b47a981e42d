import { expect } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { KvUnary } from '../../orchestrator/wire/kv-unary.js'
import { keysOn } from '../harness/keys.js'
import { Register } from '../harness/register.js'
import type { NodeView } from '../harness/status.js'
import { outcomeOf } from '../harness/workload.js'
import type { Scene } from './scene.js'

const PAUSED_KEYS = 16
/** Several, so that some read is handled in the very moment of waking, before the node has learnt that it was deposed. */
const CONNECTIONS = 8
/** Reads wait in the sockets of the stopped node: longer than any test stops it. */
const READ_MS_MAX = 20_000

let pauses = 0

/** Reads that are sent straight to the paused node while newer writes to the same keys are acknowledged elsewhere. */
export class PausedReads {
  readonly #connections: KvUnary[]
  readonly #client: RequestWrapper
  readonly #nextKey: () => string
  readonly #registers: Register[]
  readonly #reads: Promise<void>[] = []
  readonly #stale: string[] = []
  #written = 0
  #answered = 0
  #refused = 0
  #turn = 0

  /** Writes every key once and connects to the node: a paused process accepts nothing. */
  static async through(leader: NodeView, scene: Scene, shard: number): Promise<PausedReads> {
    const reads = new PausedReads(leader, scene, shard)
    for (let i = 0; i < PAUSED_KEYS; i++) await reads.writeAndAsk()
    await Promise.all(reads.#reads)
    expect([reads.#answered, reads.#stale]).toEqual([PAUSED_KEYS, []])
    reads.#written = 0
    return reads
  }

  private constructor(leader: NodeView, scene: Scene, shard: number) {
    this.#connections = Array.from({ length: CONNECTIONS }, () => new KvUnary(leader.address))
    // Short: a write that is caught in the paused leader must not keep the next ones waiting.
    this.#client = new RequestWrapper(scene.cluster.address, { deadlineMs: 500 })
    this.#nextKey = keysOn(scene.map, shard, `paused-${pauses++}`)
    this.#registers = Array.from({ length: PAUSED_KEYS }, () => new Register(this.#nextKey()))
  }

  /** Every key has been overwritten since the node was stopped: what it holds is stale. */
  get othersHaveTakenOver(): boolean {
    return this.#written >= 2 * PAUSED_KEYS
  }

  async writeAndAsk(): Promise<void> {
    const register = this.#register(this.#turn++ % PAUSED_KEYS)
    const number = register.begin('put')
    try {
      await this.#client.put(register.key, String(number))
      register.acknowledged(number)
      this.#written++
    } catch (error) {
      if (outcomeOf(error) === 'not-applied') this.#judge(register.refused(number))
      else register.unknown()
    }
    this.#reads.push(this.#ask(register))
  }

  /** Waits for every read and fails if one was stale. */
  async finish(): Promise<void> {
    await Promise.all(this.#reads)
    for (const connection of this.#connections) connection.close()
    this.#client.close()
    const answered = this.#answered - PAUSED_KEYS
    const counts = `${answered} answered, ${this.#refused} refused, ${this.#stale.length} stale`
    console.log(`${this.#written} writes beside the paused leader; reads through it: ${counts}`)
    expect(this.#stale).toEqual([])
  }

  #register(at: number): Register {
    const register = this.#registers[at]
    if (register !== undefined && !register.retired) return register
    const fresh = new Register(this.#nextKey())
    this.#registers[at] = fresh
    return fresh
  }

  async #ask(register: Register): Promise<void> {
    const ticket = register.beginRead()
    const connection = this.#connections[this.#turn % CONNECTIONS]
    try {
      const answer = await connection?.get(Buffer.from(register.key), { deadlineMs: READ_MS_MAX })
      this.#answered++
      const seen = answer?.found ? Number(Buffer.from(answer.value).toString()) : 'absent'
      this.#judge(register.endRead(ticket, seen))
    } catch {
      this.#refused++
    }
  }

  #judge(fault: string | undefined): void {
    if (fault !== undefined) this.#stale.push(fault)
  }
}
