import type { Operation, Result } from '../core/operation.js'
import { InternalError, KvError } from '../errors/index.js'
import { errorFromWire, errorToWire } from './errors.js'
import type { Operation as WireOperation, Result as WireResult } from './gen/kvorum/v1/kv.js'

/** Operations and results as the wire has them. The bytes are shared, not copied. */
export function operationToWire(operation: Operation): WireOperation {
  switch (operation.kind) {
    case 'get':
      return { kind: { $case: 'get', value: operation } }
    case 'put':
      return { kind: { $case: 'put', value: operation } }
    case 'delete':
      return { kind: { $case: 'delete', value: operation } }
  }
}

/** Undefined for a kind of operation that this version does not know: the answer to it is UNSUPPORTED. */
export function operationFromWire({ kind }: WireOperation): Operation | undefined {
  switch (kind?.$case) {
    case 'get':
      return { kind: 'get', key: kind.value.key }
    case 'put':
      return { kind: 'put', key: kind.value.key, value: kind.value.value, ifVersion: kind.value.ifVersion }
    case 'delete':
      return { kind: 'delete', key: kind.value.key, ifVersion: kind.value.ifVersion }
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
  }
}

/** What a peer answered to `asked`. An answer of another kind than the question is a fault of the peer. */
export function resultFromWire({ kind }: WireResult, asked: Operation['kind']): Result | KvError {
  if (kind?.$case === 'error') return errorFromWire(kind.value, asked === 'get')
  if (kind?.$case !== asked) {
    return new InternalError(`the peer answered ${kind?.$case ?? 'nothing'} to ${asked}`, {
      outcome: asked === 'get' ? 'not-applied' : 'unknown',
    })
  }
  switch (kind.$case) {
    case 'get':
      return { kind: 'get', found: kind.value.found, value: kind.value.value, version: kind.value.version }
    case 'put':
      return { kind: 'put', version: kind.value.version }
    case 'delete':
      return { kind: 'delete', existed: kind.value.existed }
  }
}
