import type { BatchResult, KvClient } from '../../client/index.js'
import { printableKey } from '../../core/text.js'
import { KvError } from '../../errors/index.js'
import type { BadLine, Batch, InputRow } from './read-rows.js'

// Puts batches of rows, many at once, and knows up to where all are acknowledged.

/** How many rows came to what. */
export interface Done {
  readonly put: number
  /** Whose key was there already, and was to stay. */
  readonly present: number
  readonly skipped: number
}

/** A row that could not be put. */
export interface Failure {
  readonly row: InputRow
  readonly error: KvError
}

export interface PutOptions {
  readonly client: Pick<KvClient, 'batch'>
  /** A key that is there already stays as it is. */
  readonly ifAbsent: boolean
  /** Of a line that the store refuses; false: that is a failure like any other. */
  readonly skip: ((bad: BadLine) => void) | undefined
  /** What was done before. */
  readonly done: Done
}

/** Together they hold as much as the client sends in one message, and each finds the next one waiting. */
const FLIGHTS_MAX = 16
const BYTES_MAX = 16 << 20

/** Nobody will take them as they are. */
export const OF_THE_ROW: ReadonlySet<string> = new Set(['INVALID_ARGUMENT', 'TOO_LARGE'])

interface Flight {
  /** Of its keys. */
  readonly names: readonly string[]
  readonly bytes: number
  /** Whose end is reached with it; undefined: the rest of the batch is still to come. */
  readonly batch: Batch | undefined
  readonly ended: Promise<void>
  /** Undefined while it is on its way. */
  result: Result | undefined
}

interface Result extends Done {
  /** The first of those that failed. */
  readonly failure: Failure | undefined
}

const NOTHING: Done = { put: 0, present: 0, skipped: 0 }

/**
 * Puts many rows at once, but those of one key in the order of the input: the last one counts. The first failure ends it: what is
 * on its way is waited for, and nothing else is sent.
 */
export class RowPutter {
  readonly #options: PutOptions
  /** The oldest first. */
  readonly #flights: Flight[] = []
  /** What is on its way; bytes as latin1 has them. */
  readonly #names = new Set<string>()
  #bytes = 0
  #done: Done
  /** And of the beginning of a batch. */
  #counted: Done
  #reached: Batch | undefined
  #failure: Failure | undefined
  #stuck = false

  constructor(options: PutOptions) {
    this.#options = options
    this.#done = options.done
    this.#counted = options.done
  }

  /** Of everything up to the end of `reached`. */
  get done(): Done {
    return this.#done
  }

  /** All before the end of this batch is done; undefined: nothing but what was done before. */
  get reached(): Batch | undefined {
    return this.#reached
  }

  /** Of those that failed the one with the first line. */
  get failure(): Failure | undefined {
    return this.#failure
  }

  /** Sends the rows when there is room for them. Does nothing after a failure. */
  async add(batch: Batch): Promise<void> {
    await this.#room(batch.bytes)
    let [rows, names]: [InputRow[], string[]] = [[], []]
    for (const row of batch.rows) {
      const name = Buffer.from(row.key).toString('latin1')
      if (this.#names.has(name)) {
        this.#send(rows, names, undefined)
        ;[rows, names] = [[], []]
        await this.settle()
      }
      this.#names.add(name)
      rows.push(row)
      names.push(name)
    }
    this.#send(rows, names, batch)
  }

  /** Resolves when nothing is on its way any more. */
  async settle(): Promise<void> {
    while (this.#flights.length > 0) await this.#flights[0]?.ended
  }

  async #room(bytes: number): Promise<void> {
    while (this.#flights.length >= FLIGHTS_MAX || (this.#flights.length > 0 && this.#bytes + bytes > BYTES_MAX)) {
      await this.#flights[0]?.ended
    }
  }

  #send(rows: readonly InputRow[], names: readonly string[], batch: Batch | undefined): void {
    if (this.#failure !== undefined) return
    const bytes = rows.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
    this.#bytes += bytes
    const ended = this.#put(rows).then((result) => {
      flight.result = result
      this.#advance()
    })
    const flight: Flight = { names, bytes, batch, ended, result: undefined }
    this.#flights.push(flight)
  }

  async #put(rows: readonly InputRow[]): Promise<Result> {
    const { client, ifAbsent } = this.#options
    const together = client.batch<BatchResult[]>()
    for (const { key, value, ttlMs } of rows) together.put(key, value, { ifAbsent, ttlMs })
    const results = await together.run()
    let [{ put, present, skipped }, failure]: [Done, Failure | undefined] = [NOTHING, undefined]
    for (const [index, error] of results.entries()) {
      const row = rows[index] as InputRow
      if (!(error instanceof KvError)) put++
      else if (ifAbsent && error.code === 'PRECONDITION_FAILED') present++
      else if (this.#skips(row, error)) skipped++
      else failure ??= { row, error }
    }
    if (failure !== undefined && failure.row.line < (this.#failure?.row.line ?? Number.POSITIVE_INFINITY)) {
      this.#failure = failure
    }
    return { put, present, skipped, failure }
  }

  #skips(row: InputRow, error: KvError): boolean {
    const { skip } = this.#options
    if (skip === undefined || !OF_THE_ROW.has(error.code)) return false
    skip({ line: row.line, why: error.message, text: `the key is ${printableKey(row.key)}` })
    return true
  }

  /** Counts what has ended, if all before it has. Behind a failure nothing counts. */
  #advance(): void {
    for (let flight = this.#flights[0]; flight?.result !== undefined; flight = this.#flights[0]) {
      const { names, bytes, batch, result } = flight
      this.#flights.shift()
      this.#bytes -= bytes
      for (const name of names) this.#names.delete(name)
      this.#stuck ||= result.failure !== undefined
      if (this.#stuck) continue
      this.#counted = sumOf(this.#counted, result)
      if (batch === undefined) continue
      if (batch.bad !== undefined) this.#counted = sumOf(this.#counted, { ...NOTHING, skipped: 1 })
      this.#done = this.#counted
      this.#reached = batch
    }
  }
}

export function rowsOf({ put, present, skipped }: Done): number {
  return put + present + skipped
}

function sumOf(one: Done, other: Done): Done {
  return {
    put: one.put + other.put,
    present: one.present + other.present,
    skipped: one.skipped + other.skipped,
  }
}
