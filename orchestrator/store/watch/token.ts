import { PARTITIONS } from '../../core/slot.js'
import { invalidArgument, type KvError } from '../../errors/index.js'
import type { Position } from '../../wire/watch.js'

/** Where a watch is: its position in each shard, and which partitions are between two owners. */
export interface Frontiers {
  readonly cluster: string
  readonly positions: ReadonlyMap<number, Position>
  /** Which shard of that id each position is in: another one has another log. */
  readonly incarnations: ReadonlyMap<number, number>
  /** Partitions whose last owner has released them in this epoch, and whose next one has not been heard of. */
  readonly released: ReadonlyMap<number, bigint>
}

// The bytes of a token, all numbers but the first two as varints:
//
//   | format | cluster | shards | id | incarnation | index | skip | ... | runs | first | length | epoch | ...
//   | 1      | 4       |        of each shard                           |        of each run of partitions
//
// The cluster is FNV-1a of its id: positions mean nothing in another one.
const FORMAT = 2
const HEAD_BYTES = 5
/** More than a thousand shards and as many runs of partitions take; each shard in it is asked. */
const TOKEN_BYTES_MAX = 32 << 10
const UINT32_MAX = 0xffff_ffffn
const UINT64_MAX = 0xffff_ffff_ffff_ffffn

export function encodeToken({ cluster, positions, incarnations, released }: Frontiers): Uint8Array {
  const out = [FORMAT, ...bytesOfHash(cluster)]
  put(out, BigInt(positions.size))
  for (const [id, { index, skip }] of positions) {
    put(out, BigInt(id))
    put(out, BigInt(incarnations.get(id) ?? 0))
    put(out, index)
    put(out, BigInt(skip))
  }
  const runs = runsOf(released)
  put(out, BigInt(runs.length))
  for (const { first, length, epoch } of runs) {
    put(out, BigInt(first))
    put(out, BigInt(length))
    put(out, epoch)
  }
  return Uint8Array.from(out)
}

/** Throws an InvalidArgumentError for what is no token of this cluster. */
export function decodeToken(bytes: Uint8Array, cluster: string): Frontiers {
  if (bytes.length > TOKEN_BYTES_MAX) throw bad('it is too long')
  if (bytes[0] !== FORMAT || bytes.length < HEAD_BYTES) throw bad('it is none of this version')
  if (bytesOfHash(cluster).some((byte, at) => bytes[at + 1] !== byte)) throw bad('it is of another cluster')
  const numbers = readAll(bytes.subarray(HEAD_BYTES))
  const take = (): bigint => {
    const number = numbers.next()
    if (number.done === true) throw bad('it ends too early')
    return number.value
  }
  const positions = new Map<number, Position>()
  const incarnations = new Map<number, number>()
  for (let left = take(); left > 0n; left--) {
    const [id, incarnation, index, skip] = [take(), take(), take(), take()]
    if (id > UINT32_MAX || index > UINT64_MAX || skip > UINT32_MAX) throw bad('a number in it is too large')
    positions.set(Number(id), { index, skip: Number(skip) })
    incarnations.set(Number(id), Number(incarnation))
  }
  const released = new Map<number, bigint>()
  for (let left = take(); left > 0n; left--) {
    const first = Number(take())
    const length = Number(take())
    const epoch = take()
    if (first + length > PARTITIONS) throw bad('it names partitions that there are not')
    for (let partition = first; partition < first + length; partition++) released.set(partition, epoch)
  }
  if (numbers.next().done !== true) throw bad('it goes on after its end')
  return { cluster, positions, incarnations, released }
}

function runsOf(released: ReadonlyMap<number, bigint>) {
  const runs: { first: number; length: number; epoch: bigint }[] = []
  for (const [partition, epoch] of [...released].sort(([one], [other]) => one - other)) {
    const last = runs.at(-1)
    if (last !== undefined && last.epoch === epoch && last.first + last.length === partition) last.length++
    else runs.push({ first: partition, length: 1, epoch })
  }
  return runs
}

function put(out: number[], number: bigint): void {
  let rest = number
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  out.push(Number(rest))
}

function* readAll(bytes: Uint8Array): Generator<bigint, undefined> {
  let number = 0n
  let shift = 0n
  for (const byte of bytes) {
    number |= BigInt(byte & 0x7f) << shift
    if (shift > 63n) throw bad('a number in it is too large')
    if (byte > 0x7f) {
      shift += 7n
    } else {
      yield number
      number = 0n
      shift = 0n
    }
  }
  return undefined
}

function bytesOfHash(text: string): number[] {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return [hash & 0xff, (hash >>> 8) & 0xff, (hash >>> 16) & 0xff, hash >>> 24]
}

function bad(why: string): KvError {
  return invalidArgument(`not a token of a watch of this cluster: ${why}`)
}
