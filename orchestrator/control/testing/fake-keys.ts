import { cursorAt, isEmptyRange, type Range } from '../../core/range.js'
import { PreconditionFailedError } from '../../errors/index.js'
import type { KeyStore } from '../operations/kind.js'

/** The keys of a cluster, in memory. They outlive the orchestrators of a test, and so do deletes that are on their way. */
export class FakeKeys {
  /** Each key's version. */
  readonly rows = new Map<string, bigint>()
  /** Keys of a piece of a scan. */
  perPage = 4
  /** How many were deleted by who has opened it. */
  deleted = 0
  /** Told of each of them. */
  onDelete: () => void = () => {}
  #versions = 0n
  /** What was sent and not carried out. */
  readonly #sent = new Set<() => void>()

  put(...keys: readonly string[]): void {
    for (const key of keys) this.rows.set(key, ++this.#versions)
  }

  with(prefix: string): string[] {
    return [...this.rows.keys()].filter((key) => key.startsWith(prefix)).sort()
  }

  /** What those who died, or stand still, had sent arrives now. */
  arrive(): void {
    for (const carryOut of [...this.#sent]) {
      try {
        carryOut()
      } catch (error) {
        if (!(error instanceof PreconditionFailedError)) throw error
      }
    }
  }

  /** `pass` is awaited before each call, and behind what only reads. */
  open(pass: (what: string) => Promise<void>): KeyStore {
    const within = ({ from, to }: Range) => {
      const keys = isEmptyRange({ from, to }) ? [] : [...this.rows.keys()].sort()
      return keys.map((key) => Buffer.from(key)).filter((key) => isIn(key, from, to))
    }
    return {
      close: () => {},
      count: async (range) => {
        await pass('keys count')
        return within(range).length
      },
      scan: async ({ range }) => {
        await pass('keys scan')
        const keys = within(range)
        const entries = keys.slice(0, this.perPage).map((key) => {
          return { key, value: new Uint8Array(), version: this.rows.get(key.toString()) ?? 0n }
        })
        await pass('keys read')
        const last = entries.at(-1)
        const cursor = last === undefined || keys.length === entries.length ? undefined : cursorAt(last.key, false)
        return { entries, cursor }
      },
      delete: async (key, { ifVersion }) => {
        const carryOut = () => {
          this.#sent.delete(carryOut)
          this.#delete(Buffer.from(key).toString(), ifVersion)
        }
        this.#sent.add(carryOut)
        await pass('keys delete')
        // It may have arrived without whoever has sent it.
        if (this.#sent.has(carryOut)) carryOut()
        return { kind: 'delete', existed: true }
      },
    }
  }

  #delete(key: string, ifVersion: bigint | undefined): void {
    const version = this.rows.get(key) ?? 0n
    if (ifVersion !== undefined && version !== ifVersion) {
      throw new PreconditionFailedError('another version', { outcome: 'not-applied', version })
    }
    if (!this.rows.delete(key)) return
    this.deleted++
    this.onDelete()
  }
}

function isIn(key: Uint8Array, from: Uint8Array, to: Uint8Array): boolean {
  return Buffer.compare(key, from) >= 0 && (to.length === 0 || Buffer.compare(key, to) < 0)
}
