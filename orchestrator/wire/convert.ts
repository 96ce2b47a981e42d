import { isRead, type Operation, type Result } from '../core/operation.js'
import { InternalError, KvError } from '../errors/index.js'
import { pageFromWire, pageResultFromWire, pageResultToWire, pageToWire } from './convert-page.js'
import { errorFromWire, errorToWire } from './errors.js'
import type { Operation as WireOperation, Result as WireResult } from './gen/kvorum/v1/kv.js'
import { leaseFromWire, leaseResultFromWire, leaseResultToWire, leaseToWire } from './lease.js'
import {
  transactionFromWire,
  transactionResultFromWire,
  transactionResultToWire,
  transactionToWire,
} from './transaction.js'
import { foundToWire, isMortal, narrow, putToWire, wide } from './ttl.js'

/** Operations and results as the wire has them. The bytes are shared, not copied. */
export function operationToWire(operation: Operation): WireOperation {
  switch (operation.kind) {
    case 'get':
      return unstamped({ $case: 'get', value: operation })
    case 'put':
      return unstamped({ $case: isMortal(operation) ? 'mortalPut' : 'put', value: putToWire(operation) })
    case 'delete':
      return unstamped({ $case: 'delete', value: operation })
    case 'append':
      return unstamped({ $case: 'append', value: operation })
    case 'compare-and-set':
      return unstamped({ $case: 'compareAndSet', value: operation })
    case 'increment':
      return unstamped({ $case: 'increment', value: operation })
    case 'touch':
      return unstamped({ $case: 'touch', value: { key: operation.key, ttlMs: wide(operation.ttlMs) } })
    case 'ttl-of':
      return unstamped({ $case: 'ttlOf', value: operation })
    case 'transaction':
      return unstamped({ $case: 'transaction', value: transactionToWire(operation) })
    case 'open-session':
      return unstamped({ $case: 'openSession', value: operation })
    case 'page':
      return unstamped({ $case: 'page', value: pageToWire(operation) })
    case 'grant-lease':
    case 'keep-alive':
    case 'revoke-lease':
      return unstamped(leaseToWire(operation))
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
    case 'mortalPut':
      return {
        kind: 'put',
        key: kind.value.key,
        value: kind.value.value,
        ifVersion: kind.value.ifVersion,
        returnPrevious: kind.value.returnPrevious,
        ttlMs: narrow(kind.value.ttlMs),
        lease: kind.value.lease,
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
    case 'touch':
      return { kind: 'touch', key: kind.value.key, ttlMs: narrow(kind.value.ttlMs) }
    case 'ttlOf':
      return { kind: 'ttl-of', key: kind.value.key }
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
    case 'page':
      return pageFromWire(kind.value)
    case 'grantLease':
    case 'keepAlive':
    case 'revokeLease':
      return leaseFromWire(kind)
    case undefined:
      return undefined
  }
}

export function resultToWire(result: Result | KvError): WireResult {
  if (result instanceof KvError) return { kind: { $case: 'error', value: errorToWire(result) } }
  switch (result.kind) {
    case 'get':
      return { kind: { $case: 'get', value: foundToWire(result) } }
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
    case 'touch':
      return { kind: { $case: 'touch', value: result } }
    case 'ttl-of':
      return { kind: { $case: 'ttlOf', value: { found: result.found, ttlMs: wide(result.ttlMs) } } }
    case 'transaction':
      return { kind: { $case: 'transaction', value: transactionResultToWire(result) } }
    case 'open-session':
      return { kind: { $case: 'openSession', value: result } }
    case 'page':
      return { kind: { $case: 'page', value: pageResultToWire(result) } }
    case 'grant-lease':
    case 'keep-alive':
    case 'revoke-lease':
      return leaseResultToWire(result)
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
  touch: 'touch',
  'ttl-of': 'ttlOf',
  transaction: 'transaction',
  'open-session': 'openSession',
  page: 'page',
  'grant-lease': 'grantLease',
  'keep-alive': 'keepAlive',
  'revoke-lease': 'revokeLease',
}

/** What a peer answered to `asked`. An answer of another kind than the question is a fault of the peer. */
export function resultFromWire({ kind }: WireResult, asked: Operation['kind']): Result | KvError {
  if (kind?.$case === 'error') return errorFromWire(kind.value, onlyAsks(asked))
  if (kind === undefined || kind.$case !== CASES[asked]) return noAnswer(kind?.$case ?? 'nothing', asked)
  switch (kind.$case) {
    case 'get':
      return {
        kind: 'get',
        found: kind.value.found,
        value: kind.value.value,
        version: kind.value.version,
        ttlMs: narrow(kind.value.ttlMs),
      }
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
    case 'touch':
      return { kind: 'touch', existed: kind.value.existed }
    case 'ttlOf':
      return { kind: 'ttl-of', found: kind.value.found, ttlMs: narrow(kind.value.ttlMs) }
    case 'transaction':
      return transactionResultFromWire(kind.value) ?? noAnswer('an unknown result', asked)
    case 'openSession':
      return { kind: 'open-session', id: kind.value.id }
    case 'page':
      return pageResultFromWire(kind.value)
    case 'grantLease':
    case 'keepAlive':
    case 'revokeLease':
      return leaseResultFromWire(kind)
  }
}

function noAnswer(what: string, asked: Operation['kind']): KvError {
  return new InternalError(`the peer answered ${what} to ${asked}`, {
    outcome: onlyAsks(asked) ? 'not-applied' : 'unknown',
  })
}

function onlyAsks(kind: Operation['kind']): boolean {
  return isRead({ kind }) || kind === 'page'
}
