import { z } from 'zod'
import { Turns } from '../../core/turns.js'
import { InternalError, UnsupportedError } from '../../errors/index.js'
import type { MetaKeys } from '../meta-keys.js'
import { laneOf, type OperationRecord, operationSchema, schemaOf } from './record.js'
import { isOver } from './record-fields.js'
import { type Debt, debtSchema } from './reshard-record.js'

// What is to be done and what has been, in meta: the index under one key, each operation under its own. The index is
// written before a new operation and after an old one is gone, so that nothing lies in meta that it does not name: but what
// was written too late to be one.

/** How many operations that have ended are kept. */
const ENDED_MAX = 20

export const INDEX = 'operations'

const indexSchema = z.strictObject({
  format: z.literal(1),
  /** The greatest epoch that any attempt of any move was given. Only grows. */
  epoch: z.int().min(0),
  /** Newest first. */
  ids: z.array(z.string().min(1).max(64)).max(ENDED_MAX + 2),
  /** What receivers have to drop still. It outlives the operation that left it. */
  debts: z.array(debtSchema).default([]),
})

interface Row<Value> {
  readonly value: Value
  readonly version: bigint
}

type Index = z.output<typeof indexSchema>
type Reader = Pick<MetaKeys, 'read'>

/**
 * Every write names the version that it replaces. After one that failed, or was overtaken by a late one of an
 * orchestrator before this, everything is read again.
 */
export class Journal {
  #index: Row<Index> | undefined
  #rows = new Map<string, Row<OperationRecord>>()
  readonly #turns = new Turns()

  constructor(private readonly store: MetaKeys) {}

  /** As last read or written, newest first. */
  get operations(): readonly OperationRecord[] {
    return [...(this.#index?.value.ids ?? [])].map((id) => this.#rows.get(id)?.value).filter((one) => one !== undefined)
  }

  /** As last read or written. */
  get debts(): readonly Debt[] {
    return this.#index?.value.debts ?? []
  }

  /** What every operation is, read from meta unless it is known. Rejects when `signal` is aborted. */
  load(signal: AbortSignal): Promise<readonly OperationRecord[]> {
    return this.#alone(signal, async () => this.operations)
  }

  /** Writes a new operation down, and gives it; the one of its lane that has not ended, if there is one. */
  create(record: OperationRecord, signal: AbortSignal): Promise<OperationRecord> {
    return this.#alone(signal, async (index) => {
      const open = this.operations.find((one) => !isOver(one) && laneOf(one) === laneOf(record))
      if (open !== undefined) return open
      await this.#writeIndex({ ...index, ids: [record.id, ...(await this.#pruned(index.ids, signal))] }, signal)
      await this.#writeOperation(record, 0n, signal)
      return record
    })
  }

  /** Changes an operation. `change` sees what is there by now. */
  update(
    id: string,
    change: (record: OperationRecord) => OperationRecord,
    signal: AbortSignal,
  ): Promise<OperationRecord> {
    return this.#alone(signal, async () => {
      const row = this.#rows.get(id)
      if (row === undefined) throw new InternalError(`no operation ${id} in the journal`, { outcome: 'not-applied' })
      const changed = change(row.value)
      if (changed !== row.value) await this.#writeOperation(changed, row.version, signal)
      return changed
    })
  }

  /** An epoch above `above` and above every one that this has ever given. */
  nextEpoch(above: bigint, signal: AbortSignal): Promise<number> {
    return this.#alone(signal, async (index) => {
      const epoch = Math.max(index.epoch, Number(above)) + 1
      await this.#writeIndex({ ...index, epoch }, signal)
      return epoch
    })
  }

  /** Remembers what a receiver has to drop, until it is forgiven. */
  owe(debt: Debt, signal: AbortSignal): Promise<void> {
    return this.#alone(signal, async (index) => {
      if (index.debts.some(({ epoch }) => epoch === debt.epoch)) return
      await this.#writeIndex({ ...index, debts: [...index.debts, debt] }, signal)
    })
  }

  /** The receiver has dropped it, or is gone with all that it had. */
  forgive({ epoch }: Debt, signal: AbortSignal): Promise<void> {
    return this.#alone(signal, async (index) => {
      const debts = index.debts.filter((one) => one.epoch !== epoch)
      if (debts.length < index.debts.length) await this.#writeIndex({ ...index, debts }, signal)
    })
  }

  #alone<T>(signal: AbortSignal, work: (index: Index) => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      try {
        const { value } = this.#index ?? (await this.#read(signal))
        return await work(value)
      } catch (error) {
        this.#index = undefined
        throw error
      }
    })
  }

  async #read(signal: AbortSignal): Promise<Row<Index>> {
    const { index, rows } = await readJournal(this.store, signal)
    this.#rows = rows
    this.#index = index
    // Absent: named by an index whose writer died before it wrote the operation, or after it removed it. The former may
    // be written still, by a call that is late: what nobody has seen must not begin another time, for a map that is gone.
    const ids = index.value.ids.filter((id) => rows.has(id))
    if (ids.length < index.value.ids.length) await this.#writeIndex({ ...index.value, ids }, signal)
    return this.#index
  }

  /** The ids without those of the oldest operations that have ended, which are removed. */
  async #pruned(ids: readonly string[], signal: AbortSignal): Promise<string[]> {
    const ended = ids.filter((id) => {
      const row = this.#rows.get(id)
      return row === undefined || isOver(row.value)
    })
    // One that is begun now ends as well.
    const old = new Set(ended.slice(ENDED_MAX - 1))
    for (const id of old) {
      await this.store.remove(keyOf(id), signal)
      this.#rows.delete(id)
    }
    return ids.filter((id) => !old.has(id))
  }

  async #writeIndex(value: Index, signal: AbortSignal): Promise<void> {
    const version = await this.#write(INDEX, value, this.#index?.version ?? 0n, signal)
    this.#index = { value, version }
  }

  async #writeOperation(value: OperationRecord, before: bigint, signal: AbortSignal): Promise<void> {
    // What could not be read again must not be written.
    operationSchema.parse(value)
    const version = await this.#write(keyOf(value.id), value, before, signal)
    this.#rows.set(value.id, { value, version })
  }

  async #write(key: string, value: unknown, version: bigint, signal: AbortSignal): Promise<bigint> {
    const written = await this.store.replace(key, Buffer.from(JSON.stringify(value)), version, signal)
    if (written !== undefined) return written
    throw new InternalError(`${key} in meta was written by somebody else meanwhile`, { outcome: 'not-applied' })
  }
}

/** What every operation is, newest first, for whoever only looks. */
export async function readOperations(store: Reader, signal: AbortSignal): Promise<readonly OperationRecord[]> {
  return [...(await readJournal(store, signal)).rows.values()].map(({ value }) => value)
}

/** The operations in the order of the index; of those that it names and that are not there nothing. */
async function readJournal(store: Reader, signal: AbortSignal) {
  const { value, version } = await store.read(INDEX, signal)
  const empty: Index = { format: 1, epoch: 0, ids: [], debts: [] }
  const index: Row<Index> = { value: value === undefined ? empty : checked(indexSchema, INDEX, jsonOf(value)), version }
  const rows = new Map<string, Row<OperationRecord>>()
  for (const id of index.value.ids) {
    const key = keyOf(id)
    const stored = await store.read(key, signal)
    if (stored.value === undefined) continue
    const row = jsonOf(stored.value)
    rows.set(id, { value: checked(schemaOf(row), key, row), version: stored.version })
  }
  return { index, rows }
}

export function keyOf(id: string): string {
  return `operation/${id}`
}

function jsonOf(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString())
}

function checked<Schema extends z.ZodType>(schema: Schema, key: string, row: unknown): z.output<Schema> {
  const outcome = schema.safeParse(row)
  if (outcome.success) return outcome.data
  const why = outcome.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new UnsupportedError(`${key} in meta cannot be read by this version: ${why}`, { outcome: 'not-applied' })
}
