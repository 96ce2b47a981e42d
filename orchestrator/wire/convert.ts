import type { Operation, Result } from '../core/operation.js'
import { InternalError, KvError } from '../errors/index.js'
import { errorFromWire, errorToWire } from './errors.js'
import type { Operation as WireOperation, Result as WireResult } from './gen/kvorum/v1/kv.js'
import {
  transactionFromWire,
  transactionResultFromWire,
  transactionResultToWire,
  transactionToWire,
} from './transaction.js'

/** Operations and results as the wire has them. The bytes are shared, not copied. */
export function operationToWire(operation: Operation): WireOperation {
  switch (operation.kind) {
    case 'get':
      return unstamped({ $case: 'get', value: operation })
    case 'put':
      return unstamped({ $case: 'put', value: operation })
    case 'delete':
      return unstamped({ $case: 'delete', value: operation })
    case 'append':
      return unstamped({ $case: 'append', value: operation })
    case 'compare-and-set':
      return unstamped({ $case: 'compareAndSet', value: operation })
    case 'increment':
      return unstamped({ $case: 'increment', value: operation })
    case 'transaction':
      return unstamped({ $case: 'transaction', value: transactionToWire(operation) })
    case 'open-session':
      return unstamped({ $case: 'openSession', value: operation })
  }
}

function unstamped(kind: NonNullable<WireOperation['kind']>): WireOperation {
  return { kind, session: 0, sequence: 0n }
}

/** Undefined for a kind of operation that this version does not know: the answer to it is UNSUPPORTED. */
export function operationFromWire({ kind }: Pick<WireOperation, 'kind'>): Operation | undefined {
  switch (kind?.$case) {
    case 'get':
      return { kind: 'get', key: kind.value.key, staleMs: kind.value.staleMs }
    case 'put':
      return {
        kind: 'put',
        key: kind.value.key,
        value: kind.value.value,
        ifVersion: kind.value.ifVersion,
        returnPrevious: kind.value.returnPrevious,
      }
    case 'delete':
      return {
        kind: 'delete',
        key: kind.value.key,
        ifVersion: kind.value.ifVersion,
        returnPrevious: kind.value.returnPrevious,
      }
    case 'append':
      return { kind: 'append', key: kind.value.key, value: kind.value.value }
    case 'compareAndSet':
      return {
        kind: 'compare-and-set',
        key: kind.value.key,
        expected: kind.value.expected,
        value: kind.value.value,
      }
    case 'increment':
      return { kind: 'increment', key: kind.value.key, by: kind.value.by }
    case 'transaction':
      return transactionFromWire(kind.value)
    case 'openSession':
      return {
        kind: 'open-session',
        key: kind.value.key,
        nonce: kind.value.nonce,
        expiryMs: kind.value.expiryMs,
        shard: kind.value.shard,
      }
    case undefined:
      return undefined
  }
}

export function resultToWire(result: Result | KvError): WireResult {
  if (result instanceof KvError) return { kind: { $case: 'error', value: errorToWire(result) } }
  switch (result.kind) {
    case 'get':
      return { kind: { $case: 'get', value: result } }
    case 'put':
      return { kind: { $case: 'put', value: result } }
    case 'delete':
      return { kind: { $case: 'delete', value: result } }
    case 'append':
      return { kind: { $case: 'append', value: { version: result.version, length: BigInt(result.length) } } }
    case 'compare-and-set':
      return { kind: { $case: 'compareAndSet', value: result } }
    case 'increment':
      return { kind: { $case: 'increment', value: result } }
    case 'transaction':
      return { kind: { $case: 'transaction', value: transactionResultToWire(result) } }
    case 'open-session':
      return { kind: { $case: 'openSession', value: result } }
  }
}

type Case = Exclude<NonNullable<WireResult['kind']>['$case'], 'error'>

/** What the wire calls the answer to each kind of operation. */
const CASES: Readonly<Record<Operation['kind'], Case>> = {
  get: 'get',
  put: 'put',
  delete: 'delete',
  append: 'append',
  'compare-and-set': 'compareAndSet',
  increment: 'increment',
  transaction: 'transaction',
  'open-session': 'openSession',
}

/** What a peer answered to `asked`. An answer of another kind than the question is a fault of the peer. */
export function resultFromWire({ kind }: WireResult, asked: Operation['kind']): Result | KvError {
  if (kind?.$case === 'error') return errorFromWire(kind.value, asked === 'get')
  if (kind === undefined || kind.$case !== CASES[asked]) return noAnswer(kind?.$case ?? 'nothing', asked)
  switch (kind.$case) {
    case 'get':
      return { kind: 'get', found: kind.value.found, value: kind.value.value, version: kind.value.version }
    case 'put':
      return { kind: 'put', version: kind.value.version, previous: kind.value.previous }
    case 'delete':
      return { kind: 'delete', existed: kind.value.existed, previous: kind.value.previous }
    case 'append':
      return { kind: 'append', version: kind.value.version, length: Number(kind.value.length) }
    case 'compareAndSet':
      return { kind: 'compare-and-set', version: kind.value.version }
    case 'increment':
      return { kind: 'increment', value: kind.value.value, version: kind.value.version }
    case 'transaction':
      return transactionResultFromWire(kind.value) ?? noAnswer('an unknown result', asked)
    case 'openSession':
      return { kind: 'open-session', id: kind.value.id }
  }
}

function noAnswer(what: string, asked: Operation['kind']): KvError {
  return new InternalError(`the peer answered ${what} to ${asked}`, {
    outcome: asked === 'get' ? 'not-applied' : 'unknown',
  })
}
