import type { Result } from '../core/operation.js'
import { KvError } from '../errors/index.js'
import { resultToWire } from './convert.js'
import { BatchResponse } from './gen/kvorum/v1/kv.js'

// A BatchResponse as bytes. Results of gets and puts are written here and not by the generated encoder, which gathers a
// message from pieces and takes ten times as long for a value of 256 bytes; everything else is left to it: messages
// that follow one another are one message to protobuf.
//
//   BatchResponse  08 id (varint)   12 length Result ...   1a positions
//   Result         0a length GetResponse | 12 length PutResponse | others
//   GetResponse    08 found   12 length value   18 version (varint)       a field that is 0 or empty is left out
//   PutResponse    08 version (varint)

const RESULTS = 0x12
const GET = 0x0a
const PUT = 0x12
const FOUND = 0x08
const VALUE = 0x12
const GET_VERSION = 0x18
const PUT_VERSION = 0x08
/** Tags, lengths and numbers around a value are less than this. */
const FRAME_BYTES_MAX = 40

export function encodeAnswer(
  id: bigint,
  results: readonly (Result | KvError)[],
  positions: readonly number[],
): Uint8Array {
  const rest = results.map(restOf)
  const frame = BatchResponse.encode({ id, results: [], positions: [...positions] }).finish()
  let most = frame.length
  for (let at = 0; at < results.length; at++) most += rest[at]?.length ?? FRAME_BYTES_MAX + valueBytes(results[at])
  const writer = new Writer(Buffer.allocUnsafe(most))
  writer.bytes(frame)
  for (let at = 0; at < results.length; at++) {
    const encoded = rest[at]
    if (encoded === undefined) writeResult(writer, results[at] as Result)
    else writer.bytes(encoded)
  }
  return writer.written
}

/** What the generated encoder writes; undefined for what is written here. */
function restOf(result: Result | KvError): Uint8Array | undefined {
  if (!(result instanceof KvError) && (result.kind === 'get' || result.kind === 'put')) return undefined
  return BatchResponse.encode({ id: 0n, results: [resultToWire(result)], positions: [] }).finish()
}

function valueBytes(result: Result | KvError | undefined): number {
  return result === undefined || result instanceof KvError || result.kind !== 'get' ? 0 : result.value.length
}

function writeResult(writer: Writer, result: Result): void {
  if (result.kind === 'put') {
    const inner = result.version === 0n ? 0 : 1 + bigSize(result.version)
    writer.nested(RESULTS, PUT, inner)
    if (result.version !== 0n) writer.big(PUT_VERSION, result.version)
    return
  }
  if (result.kind !== 'get') throw new TypeError(`${result.kind} is not written here`)
  const { found, value, version } = result
  const valueField = value.length === 0 ? 0 : 1 + size(value.length) + value.length
  writer.nested(RESULTS, GET, (found ? 2 : 0) + valueField + (version === 0n ? 0 : 1 + bigSize(version)))
  if (found) writer.number(FOUND, 1)
  if (value.length > 0) {
    writer.number(VALUE, value.length)
    writer.bytes(value)
  }
  if (version !== 0n) writer.big(GET_VERSION, version)
}

/** Of a varint. */
function size(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

function bigSize(value: bigint): number {
  if (value <= Number.MAX_SAFE_INTEGER) return size(Number(value))
  let bytes = 0
  for (let rest = value; rest > 0n; rest >>= 7n) bytes++
  return bytes
}

/** Into a buffer that has room for all of it. */
class Writer {
  #at = 0

  constructor(private readonly into: Buffer) {}

  get written(): Uint8Array {
    return this.into.subarray(0, this.#at)
  }

  bytes(bytes: Uint8Array): void {
    this.into.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** The heads of a message of `bytes` within another one. */
  nested(outer: number, inner: number, bytes: number): void {
    this.number(outer, 1 + size(bytes) + bytes)
    this.number(inner, bytes)
  }

  number(tag: number, value: number): void {
    this.into[this.#at++] = tag
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.into[this.#at++] = (rest % 128) + 128
    this.into[this.#at++] = rest
  }

  big(tag: number, value: bigint): void {
    if (value <= Number.MAX_SAFE_INTEGER) {
      this.number(tag, Number(value))
      return
    }
    this.into[this.#at++] = tag
    let rest = value
    for (; rest >= 128n; rest >>= 7n) this.into[this.#at++] = Number(rest & 127n) + 128
    this.into[this.#at++] = Number(rest)
  }
}
