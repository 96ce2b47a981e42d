import type { KvError } from '../errors/index.js'
import { resultToWire } from './convert.js'
import { BatchResponse } from './gen/kvorum/v1/kv.js'

/** What a message says of itself before it is decoded: decoded, one of small operations is many times larger. */
export interface BatchOutline {
  readonly id: bigint
  readonly operations: number
  readonly sessions: number
  /** Conditions and operations of transactions: each is an object, as an operation is. */
  readonly parts: number
  /** As it came. */
  readonly bytes: number
}

const ID = 1
const OPERATIONS = 4
const SESSIONS = 5
/** In an Operation. */
const TRANSACTION = 10
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** Undefined for bytes that are no BatchRequest. */
export function outlineOf(bytes: Uint8Array): BatchOutline | undefined {
  const reader = new Reader(bytes)
  let [id, operations, sessions, parts] = [0n, 0, 0, 0]
  while (!reader.atEnd) {
    const tag = reader.varint()
    const field = Math.floor(tag / 8)
    if (field === ID && tag % 8 === VARINT) {
      id = reader.long()
      continue
    }
    if (field === SESSIONS) sessions++
    if (field === OPERATIONS && tag % 8 === BYTES) {
      operations++
      parts += partsOf(reader.message())
    } else {
      reader.skip(tag % 8)
    }
  }
  return reader.broken ? undefined : { id, operations, sessions, parts, bytes: bytes.length }
}

/** What of an operation, and of a transaction in it, cannot be read ends with decoding. */
function partsOf(operation: Reader): number {
  let parts = 0
  while (!operation.atEnd) {
    const tag = operation.varint()
    if (tag === TRANSACTION * 8 + BYTES) parts += fieldsOf(operation.message())
    else operation.skip(tag % 8)
  }
  return parts
}

function fieldsOf(message: Reader): number {
  let fields = 0
  for (; !message.atEnd; fields++) message.skip(message.varint() % 8)
  return fields
}

/** The answer that gives every operation the same error, encoded: it is encoded once, however many they are. */
export function sameForAll({ id, operations }: BatchOutline, error: KvError): Uint8Array {
  const head = BatchResponse.encode({ id, results: [], positions: [] }).finish()
  const one = BatchResponse.encode({ id: 0n, results: [resultToWire(error)], positions: [] }).finish()
  const all = Buffer.allocUnsafe(head.length + operations * one.length)
  all.set(head)
  all.fill(one, head.length)
  return all
}

/** Protobuf, as much as tells one field from the next. What does not fit makes it broken, and ends it. */
class Reader {
  broken = false
  #at = 0

  constructor(private readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.#at >= this.bytes.length
  }

  /** Exact up to 2^53, which is more than any length or tag can be here. */
  varint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = this.bytes[this.#at++]
      if (byte === undefined) break
      value += (byte % 128) * scale
      if (byte < 128) return value
    }
    return this.#fail()
  }

  long(): bigint {
    const from = this.#at
    this.varint()
    let value = 0n
    for (let at = this.#at - 1; at >= from && !this.broken; at--) {
      value = (value << 7n) | BigInt((this.bytes[at] ?? 0) % 128)
    }
    return BigInt.asUintN(64, value)
  }

  /** The message that is here, which is passed over. */
  message(): Reader {
    const length = this.varint()
    const from = this.#at
    this.#forward(length)
    return new Reader(this.bytes.subarray(from, this.#at))
  }

  skip(kind: number): void {
    if (kind === VARINT) this.varint()
    else if (kind === BYTES) this.#forward(this.varint())
    else if (kind === FIXED64) this.#forward(8)
    else if (kind === FIXED32) this.#forward(4)
    else this.#fail()
  }

  #forward(bytes: number): void {
    this.#at += bytes
    if (this.#at > this.bytes.length) this.#fail()
  }

  #fail(): number {
    this.broken = true
    this.#at = this.bytes.length
    return 0
  }
}
