import type { Operation, Result, Stamp } from '../../core/operation.js'
import type { KvError } from '../../errors/index.js'
import type { Done, OperationStore } from '../context.js'

export interface Submitted {
  readonly operation: Operation
  readonly deadlineMs: number
  readonly done: Done
  readonly stamp: Stamp | undefined
}

/** A Store that answers when the test says so. */
export class ManualStore implements OperationStore {
  readonly waiting: Submitted[] = []

  submit(operation: Operation, deadlineMs: number, done: Done, stamp?: Stamp): void {
    this.waiting.push({ operation, deadlineMs, done, stamp })
  }

  /** Answers the operation that has waited longest. */
  answer(result: Result): void {
    this.#next().done(undefined, result)
  }

  fail(error: KvError): void {
    this.#next().done(error, undefined)
  }

  #next(): Submitted {
    const next = this.waiting.shift()
    if (next === undefined) throw new TypeError('nothing waits')
    return next
  }
}

/** A Store that keeps its keys in a Map and answers at once. */
export class MapStore implements OperationStore {
  readonly #rows = new Map<string, { value: Uint8Array; version: bigint }>()
  #versions = 0n

  submit(operation: Operation, _deadlineMs: number, done: Done): void {
    done(undefined, this.#apply(operation))
  }

  #apply(operation: Operation): Result {
    const id = Buffer.from(operation.key).toString('hex')
    const row = this.#rows.get(id)
    switch (operation.kind) {
      case 'get':
        return {
          kind: 'get',
          found: row !== undefined,
          value: row?.value ?? new Uint8Array(),
          version: row?.version ?? 0n,
        }
      case 'put':
        this.#rows.set(id, { value: Uint8Array.from(operation.value), version: ++this.#versions })
        return { kind: 'put', version: this.#versions }
      case 'delete':
        return { kind: 'delete', existed: this.#rows.delete(id) }
      case 'append': {
        const value = Buffer.concat([row?.value ?? new Uint8Array(), operation.value])
        this.#rows.set(id, { value, version: ++this.#versions })
        return { kind: 'append', version: this.#versions, length: value.length }
      }
      case 'compare-and-set':
        this.#rows.set(id, { value: Uint8Array.from(operation.value), version: ++this.#versions })
        return { kind: 'compare-and-set', version: this.#versions }
      case 'increment': {
        const value = BigInt(Buffer.from(row?.value ?? '0').toString()) + operation.by
        this.#rows.set(id, { value: Buffer.from(`${value}`), version: ++this.#versions })
        return { kind: 'increment', value, version: this.#versions }
      }
      case 'touch':
        return { kind: 'touch', existed: row !== undefined }
      case 'ttl-of':
        return { kind: 'ttl-of', found: row !== undefined }
      case 'transaction':
        return { kind: 'transaction', succeeded: true, results: [] }
      case 'open-session':
        return { kind: 'open-session', id: new Uint8Array(16) }
      case 'page':
        return { kind: 'page', entries: [], count: this.#rows.size, next: undefined }
      case 'grant-lease':
      case 'keep-alive':
      case 'revoke-lease':
        throw new TypeError('no test asks this store for a lease')
    }
  }
}
