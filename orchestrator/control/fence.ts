import { UnsupportedError } from '../errors/index.js'
import { NotHolder } from './faults.js'
import type { MetaKeys, Stored } from './meta-keys.js'
import type { MetaStore } from './meta-store.js'

// Whoever holds the control lease writes the keys of meta, each value in an envelope with the term of its writer:
//
//   0      1       2            10
//   +------+-------+------------+---------------
//   | 0x00 | what  | term, BE   | the value
//   +------+-------+------------+---------------
//     mark   0: the key is absent, 1: it has a value
//
// The mark begins neither JSON nor a message of protobuf: a value without it is from before there was a lease, of term 0.
// A new holder first writes its term over each key, and a term is never written over by a smaller one. DESIGN.md shows
// that nothing of an earlier holder takes effect after that.

const MARK = 0
const ABSENT = 0
const PRESENT = 1
const HEAD_BYTES = 10

export interface Sealed {
  readonly term: number
  readonly value: Uint8Array | undefined
}

export function seal({ term, value }: Sealed): Uint8Array {
  const head = Buffer.alloc(HEAD_BYTES)
  head[1] = value === undefined ? ABSENT : PRESENT
  head.writeBigUInt64BE(BigInt(term), 2)
  return value === undefined ? head : Buffer.concat([head, value])
}

/** Throws UNSUPPORTED for what no version known here has written. */
export function unseal(stored: Uint8Array | undefined): Sealed {
  if (stored === undefined || stored[0] !== MARK) return { term: 0, value: stored }
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
  const [, what = -1] = bytes
  if (bytes.length < HEAD_BYTES || what > PRESENT || (what === ABSENT && bytes.length > HEAD_BYTES)) {
    throw new UnsupportedError('a value in meta was written by another version', { outcome: 'not-applied' })
  }
  const term = Number(bytes.readBigUInt64BE(2))
  return { term, value: what === ABSENT ? undefined : bytes.subarray(HEAD_BYTES) }
}

/** What the fence asks of the lease. */
export interface Tenure {
  /** The term of this holder, when all keys have it. Rejects with NotHolder when somebody else has a greater one. */
  begun(signal: AbortSignal): Promise<number>
  /** The same, at a moment at which the lease is surely held. */
  held(signal: AbortSignal): Promise<number>
  /** Somebody else has this term. */
  deposed(term: number): void
}

/**
 * The keys of meta for the holder of the lease: it reads and writes only after it has begun, and not once it was deposed:
 * every call rejects with NotHolder then. Calls wait while meta is away.
 */
export class FencedStore implements MetaKeys {
  constructor(
    private readonly store: MetaStore,
    private readonly tenure: Tenure,
  ) {}

  async read(key: string, signal: AbortSignal): Promise<Stored> {
    const term = await this.tenure.begun(signal)
    const { value, version } = await this.store.read(key, signal)
    return { value: this.#mine(value, term), version }
  }

  async replace(key: string, value: Uint8Array, version: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    const term = await this.tenure.held(signal)
    const written = await this.store.replace(key, seal({ term, value }), version, signal)
    // Perhaps it was a new holder: whoever tries again would find out, and whoever does not had better know.
    if (written === undefined) this.#mine((await this.store.read(key, signal)).value, term)
    return written
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { version } = await this.read(key, signal)
      await this.tenure.held(signal)
      if (await this.store.remove(key, version, signal)) return
    }
  }

  #mine(stored: Uint8Array | undefined, term: number): Uint8Array | undefined {
    const { term: writer, value } = unseal(stored)
    if (writer <= term) return value
    this.tenure.deposed(writer)
    throw new NotHolder(writer)
  }
}

/** Writes the term over a key, whatever it holds, and gives that. Throws NotHolder when a greater one is there. */
export async function stamp(store: MetaStore, key: string, term: number, signal: AbortSignal): Promise<Stored> {
  for (;;) {
    const stored = await store.read(key, signal)
    const { term: writer, value } = unseal(stored.value)
    if (writer > term) throw new NotHolder(writer)
    if (writer === term) return { value, version: stored.version }
    const version = await store.replace(key, seal({ term, value }), stored.version, signal)
    if (version !== undefined) return { value, version }
  }
}
