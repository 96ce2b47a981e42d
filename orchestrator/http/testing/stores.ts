import type { Operation, Result } from '../../core/operation.js'
import type { TransactionOperation } from '../../core/transaction.js'
import { CancelledError, KvError, PreconditionFailedError } from '../../errors/index.js'
import { transactOn } from '../../wire/testing/transact.js'
import type { OperationStore } from '../operations.js'

type Done = Parameters<OperationStore['perform']>[3]

interface Row {
  readonly value: Uint8Array
  readonly version: bigint
}

/** A Store that keeps its keys in a Map and answers at once. */
export class MapStore implements OperationStore {
  /** By the key in hex. */
  readonly rows = new Map<string, Row>()
  /** How long those of them live that do not live for ever. Time does not pass here. */
  readonly ttls = new Map<string, number>()
  /** Why it refuses everything, if it does. */
  refuses: KvError | undefined
  #versions = 0n

  perform(operation: Operation, _deadlineMs: number, _signal: AbortSignal | undefined, done: Done): void {
    try {
      done(undefined, this.#apply(operation))
    } catch (error) {
      done(error as KvError, undefined)
    }
  }

  full(): KvError | undefined {
    return this.refuses
  }

  #apply(operation: Operation): Result {
    if (operation.kind === 'transaction') return this.#transact(operation)
    const id = Buffer.from(operation.key).toString('hex')
    const row = this.rows.get(id)
    const found = { value: row?.value ?? new Uint8Array(), version: row?.version ?? 0n }
    switch (operation.kind) {
      case 'get':
        return { kind: 'get', found: row !== undefined, ...found, ttlMs: this.ttls.get(id) }
      case 'put':
        check(operation.ifVersion, found.version)
        this.#live(id, operation.ttlMs)
        return { kind: 'put', version: this.#write(id, operation.value), previous: previousOf(operation, row) }
      case 'delete':
        check(operation.ifVersion, found.version)
        return { kind: 'delete', existed: this.rows.delete(id), previous: previousOf(operation, row) }
      case 'append': {
        const value = Buffer.concat([found.value, operation.value])
        return { kind: 'append', version: this.#write(id, value), length: value.length }
      }
      case 'compare-and-set': {
        const same =
          row === undefined
            ? operation.expected === undefined
            : Buffer.from(row.value).equals(operation.expected ?? NO_VALUE)
        if (!same)
          throw new PreconditionFailedError('another value', { outcome: 'not-applied', version: found.version })
        return { kind: 'compare-and-set', version: this.#write(id, operation.value) }
      }
      case 'increment': {
        const sum = BigInt(Buffer.from(found.value).toString() || '0') + operation.by
        return { kind: 'increment', value: sum, version: this.#write(id, Buffer.from(String(sum))) }
      }
      case 'touch':
        if (row !== undefined) this.#live(id, operation.ttlMs)
        return { kind: 'touch', existed: row !== undefined }
      case 'ttl-of':
        return { kind: 'ttl-of', found: row !== undefined, ttlMs: this.ttls.get(id) }
      case 'open-session':
        throw new TypeError('no client of HTTP opens a session')
      case 'page':
      case 'grant-lease':
      case 'keep-alive':
      case 'revoke-lease':
        throw new TypeError('scans come as a whole')
    }
  }

  #transact(operation: TransactionOperation): Result {
    const result = transactOn(operation, this.rows, (one) => this.#apply(one))
    if (result instanceof KvError) throw result
    return result
  }

  #live(id: string, ttlMs: number | undefined): void {
    if (ttlMs === undefined) this.ttls.delete(id)
    else this.ttls.set(id, ttlMs)
  }

  #write(id: string, value: Uint8Array): bigint {
    this.rows.set(id, { value: Uint8Array.from(value), version: ++this.#versions })
    return this.#versions
  }
}

/** No value that a test writes. */
const NO_VALUE = Buffer.from('\0none')

function previousOf(
  { returnPrevious }: { returnPrevious?: boolean | undefined },
  row: Row | undefined,
): Row | undefined {
  return returnPrevious === true ? row : undefined
}

function check(ifVersion: bigint | undefined, version: bigint): void {
  if (ifVersion === undefined || ifVersion === version) return
  throw new PreconditionFailedError(`the version is ${version}`, { outcome: 'not-applied', version })
}

export interface Performed {
  readonly operation: Operation
  readonly deadlineMs: number
  readonly done: Done
}

/** A Store that answers when the test says so, or when the caller gives up. */
export class ManualStore implements OperationStore {
  readonly waiting: Performed[] = []
  /** Operations that their callers gave up. */
  readonly cancelled: Operation[] = []

  perform(operation: Operation, deadlineMs: number, signal: AbortSignal | undefined, done: Done): void {
    const entry = { operation, deadlineMs, done }
    this.waiting.push(entry)
    signal?.addEventListener('abort', () => {
      const at = this.waiting.indexOf(entry)
      if (at < 0) return
      this.waiting.splice(at, 1)
      this.cancelled.push(operation)
      done(new CancelledError('cancelled by the caller', { outcome: 'unknown', cause: signal.reason }), undefined)
    })
  }

  /** Answers the operation that has waited longest. */
  answer(result: Result): void {
    this.#next().done(undefined, result)
  }

  fail(error: KvError): void {
    this.#next().done(error, undefined)
  }

  #next(): Performed {
    const next = this.waiting.shift()
    if (next === undefined) throw new TypeError('nothing waits')
    return next
  }
}
