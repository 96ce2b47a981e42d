import { z } from 'zod'
import { UnsupportedError } from '../errors/index.js'
import type { Stored } from './meta-keys.js'

// Who holds the control lease, under one key of meta: JSON, checked when it is read. DESIGN.md has what it is good for.

export const LEASE_KEY = 'control'

const leaseSchema = z.strictObject({
  format: z.literal(1),
  /** Grows with each new holder. */
  term: z.int().min(1),
  /** Which process: random, made when it starts. */
  holder: z.string().min(1).max(64),
  /** Of its gateway, host:port; empty until that listens. */
  address: z.string().max(256),
  /** Whose lock it has or waits for: the registry with the processes of the cluster's nodes. */
  registry: z.string().min(1).max(64),
  /** Grows with each renewal: a row that stays the same is one whose holder is silent. */
  renewals: z.int().min(0),
  /** It ends in order, and whoever stands by may take the lease at once. */
  released: z.boolean(),
})

export type LeaseRecord = z.output<typeof leaseSchema>

/** The lease as it was read; `record` is undefined before there was a first holder. */
export interface LeaseRow {
  readonly record: LeaseRecord | undefined
  readonly version: bigint
}

export function encodeLease(record: LeaseRecord): Uint8Array {
  return Buffer.from(JSON.stringify(leaseSchema.parse(record)))
}

/** Throws UNSUPPORTED for what another version has written. */
export function decodeLease({ value, version }: Stored): LeaseRow {
  if (value === undefined) return { record: undefined, version }
  const checked = leaseSchema.safeParse(JSON.parse(Buffer.from(value).toString()))
  if (checked.success) return { record: checked.data, version }
  const why = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new UnsupportedError(`the control lease in meta cannot be read by this version: ${why}`, {
    outcome: 'not-applied',
  })
}

/** After so long without a change the holder of a lease counts as gone. */
export const LEASE_MS = 5_000

/**
 * Judges a lease by what it has seen itself: no clock is compared with another one. It looks at the row now and then; a row
 * that is the same for LEASE_MS from the first look on has not been renewed for at least so long.
 */
export class LeaseObserver {
  #row: LeaseRow | undefined
  #since = 0

  get row(): LeaseRow | undefined {
    return this.#row
  }

  /** The row as it was read. `now`: monotonic, at some moment after the read. */
  saw(row: LeaseRow, now: number): void {
    if (this.#row !== undefined && this.#row.version === row.version) return
    this.#row = row
    this.#since = now
  }

  /** Whether whoever is not its holder may take it. `now`: monotonic, of this observer. */
  isVacant(now: number): boolean {
    if (this.#row === undefined) return false
    const { record } = this.#row
    return record === undefined || record.released || now - this.#since >= LEASE_MS
  }
}
