import type { GetResult, Result } from '../core/operation.js'
import type { KvError } from '../errors/index.js'
import { resultToWire } from './convert.js'
import { BatchResponse } from './gen/kvorum/v1/kv.js'

/**
 * A BatchResponse as bytes. The generated encoder moves each value when it writes the lengths before it: answers to gets
 * alone, as clients of ours ask for them, are written here, into one buffer; those of keys that live for a time are rare.
 */
export function encodeAnswer(
  id: bigint,
  results: readonly (Result | KvError)[],
  positions: readonly number[],
): Uint8Array {
  return results.every(isGet) ? encodeGets(id, results, positions) : generated(id, results, positions)
}

function generated(id: bigint, results: readonly (Result | KvError)[], positions: readonly number[]): Uint8Array {
  return BatchResponse.encode({ id, results: results.map(resultToWire), positions: [...positions] }).finish()
}

function isGet(result: Result | KvError): result is GetResult {
  return 'kind' in result && result.kind === 'get' && result.ttlMs === undefined
}

/** The tags and lengths of a get's result, and what is in it besides its value, are less than this. */
const FRAME_BYTES_MAX = 40

// A field is its tag, for bytes and messages its length, and its content. One that is 0 or empty is left out.
const RESULTS = 0x12
const GET = 0x0a
const FOUND = 0x08
const VALUE = 0x12
const VERSION = 0x18

function encodeGets(id: bigint, gets: readonly GetResult[], positions: readonly number[]): Uint8Array {
  const head = generated(id, [], positions)
  let most = head.length
  for (const { value } of gets) most += FRAME_BYTES_MAX + value.length
  const bytes = Buffer.allocUnsafe(most)
  bytes.set(head)
  let at = head.length
  for (const get of gets) at = writeGet(bytes, at, get)
  return bytes.subarray(0, at)
}

/** Each of these writes at a position, and returns the next one. */
function writeGet(bytes: Buffer, begin: number, { found, value, version }: GetResult): number {
  const foundField = found ? 2 : 0
  const valueField = value.length === 0 ? 0 : 1 + sizeOf(value.length) + value.length
  const versionField = version === 0n ? 0 : 1 + bigSizeOf(version)
  const length = foundField + valueField + versionField
  let at = writeField(bytes, begin, RESULTS, 1 + sizeOf(length) + length)
  at = writeField(bytes, at, GET, length)
  if (found) at = writeField(bytes, at, FOUND, 1)
  if (value.length > 0) {
    at = writeField(bytes, at, VALUE, value.length)
    bytes.set(value, at)
    at += value.length
  }
  if (version > 0n) {
    bytes[at] = VERSION
    at = writeBig(bytes, at + 1, version)
  }
  return at
}

function writeField(bytes: Buffer, at: number, tag: number, value: number): number {
  bytes[at] = tag
  return writeNumber(bytes, at + 1, value)
}

// Numbers are varints: seven bits a byte, the lowest first, and an eighth that says that more follow.

function writeNumber(bytes: Buffer, begin: number, value: number): number {
  let at = begin
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) + 128
  bytes[at++] = rest
  return at
}

function writeBig(bytes: Buffer, begin: number, value: bigint): number {
  let at = begin
  let rest = value
  for (; rest > Number.MAX_SAFE_INTEGER; rest >>= 7n) bytes[at++] = Number(rest & 127n) + 128
  return writeNumber(bytes, at, Number(rest))
}

function sizeOf(value: number): number {
  let size = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++
  return size
}

function bigSizeOf(value: bigint): number {
  let size = 0
  let rest = value
  for (; rest > Number.MAX_SAFE_INTEGER; rest >>= 7n) size++
  return size + sizeOf(Number(rest))
}
