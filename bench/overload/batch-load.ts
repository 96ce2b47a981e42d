// Messages of puts on raw Batch streams. The operations are encoded once and an answer is only counted: what the generator
// needs of the machine is what the servers do not get.
import { setTimeout as pause } from 'node:timers/promises'
import { operationToWire } from '../../orchestrator/wire/convert.js'
import { BatchRequest, BatchResponse } from '../../orchestrator/wire/gen/kvorum/v1/kv.js'
import { FloodStream } from '../../test/harness/flood.js'
import { Counter } from './counter.js'
import type { Load, Tally } from './protocol.js'

const TIMEOUT_MS = 5000
const TICK_MS = 5
/** Answers that are still on their way when the time is over. */
const TAIL_MS = 500
const OVERLOADED = 6

export async function batchLoad(load: Load): Promise<Tally> {
  const counter = new Counter()
  const streams = Array.from({ length: load.streams }, (_, index) => new Sender(load, index, counter))
  const began = performance.now()
  const end = began + load.seconds * 1000
  for (let now = began; now < end; now = performance.now()) {
    counter.offered = Math.round((load.perSecond ?? 0) * ((now - began) / 1000))
    for (const stream of streams) stream.push()
    await pause(TICK_MS)
  }
  for (const stream of streams) stream.stop()
  await pause(TAIL_MS)
  for (const stream of streams) stream.close()
  return counter.tally()
}

interface Begun {
  /** When it was given to the transport. */
  readonly at: number
  /** Operations without an answer. */
  left: number
}

class Sender {
  readonly #load: Load
  readonly #counter: Counter
  readonly #stream: FloodStream
  readonly #body: Uint8Array
  readonly #key: string
  /** The messages that are not answered in full: a gateway may answer in parts. */
  readonly #begun = new Map<bigint, Begun>()
  #nextId = 1n
  #stopped = false

  constructor(load: Load, index: number, counter: Counter) {
    this.#load = load
    this.#counter = counter
    this.#key = `${load.prefix}-${index}`
    const value = Buffer.alloc(load.valueBytes, 'v')
    const operations = Array.from({ length: load.operations }, (_, at) =>
      operationToWire({ kind: 'put', key: Buffer.from(`${this.#key}-${at}`), value }),
    )
    this.#body = BatchRequest.encode({ id: 0n, epoch: 0n, timeoutMs: TIMEOUT_MS, operations, sessions: [] }).finish()
    const answered = (answer: Uint8Array): void => this.#answered(answer)
    this.#stream = new FloodStream({ address: load.address, next: () => this.#next(), answered })
  }

  push(): void {
    this.#stream.push()
  }

  stop(): void {
    this.#stopped = true
  }

  close(): void {
    this.#counter.written += this.#stream.written * this.#load.operations
    if (this.#stream.failure !== undefined) this.#counter.failed(0, String(this.#stream.failure))
    this.#stream.close()
  }

  #next(): Uint8Array | undefined {
    if (this.#stopped || (this.#load.perSecond === undefined && this.#begun.size > 0)) return undefined
    const id = this.#nextId++
    this.#begun.set(id, { at: performance.now(), left: this.#load.operations })
    const head = BatchRequest.encode({ id, epoch: 0n, timeoutMs: 0, operations: [], sessions: [] }).finish()
    return Buffer.concat([head, this.#body])
  }

  #answered(bytes: Uint8Array): void {
    const { id, results } = BatchResponse.decode(bytes)
    const begun = this.#begun.get(id)
    if (begun === undefined) throw new Error(`an answer to ${id}, which nobody asked`)
    const ms = performance.now() - begun.at
    begun.left -= results.length
    if (begun.left === 0) this.#begun.delete(id)
    let [acknowledged, overloaded] = [0, 0]
    for (const { kind } of results) {
      if (kind?.$case === 'put') acknowledged++
      else if (kind?.$case === 'error' && kind.value.code === OVERLOADED) overloaded++
      else this.#counter.failed(1, kind?.$case === 'error' ? kind.value.message : 'no result')
    }
    if (acknowledged + overloaded > 0) {
      const at = results.findIndex(({ kind }) => kind?.$case === 'put')
      this.#counter.answered(ms, acknowledged, overloaded, () => `${this.#key}-${at}`)
    }
    this.push()
  }
}
