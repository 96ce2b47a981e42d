import type { LeaseOperation, LeaseResult } from '../core/lease.js'
import { ANY_KEY } from '../core/operation.js'
import type { Operation as WireOperation, Result as WireResult } from './gen/kvorum/v1/kv.js'

type WireKind = NonNullable<WireOperation['kind']>
type WireResultKind = NonNullable<WireResult['kind']>
type LeaseCase = 'grantLease' | 'keepAlive' | 'revokeLease'

export function leaseToWire(operation: LeaseOperation): WireKind {
  const { lease, shard, partitions } = operation
  switch (operation.kind) {
    case 'grant-lease':
      return { $case: 'grantLease', value: { lease, shard, partitions, ttlMs: BigInt(operation.ttlMs) } }
    case 'keep-alive':
      return { $case: 'keepAlive', value: { lease, shard, partitions } }
    case 'revoke-lease':
      return { $case: 'revokeLease', value: { lease, shard, partitions } }
  }
}

export function leaseFromWire(kind: Extract<WireKind, { $case: LeaseCase }>): LeaseOperation {
  const { lease, shard, partitions } = kind.value
  const parts = { key: ANY_KEY, lease, shard, partitions }
  switch (kind.$case) {
    case 'grantLease':
      return { kind: 'grant-lease', ...parts, ttlMs: Number(kind.value.ttlMs) }
    case 'keepAlive':
      return { kind: 'keep-alive', ...parts }
    case 'revokeLease':
      return { kind: 'revoke-lease', ...parts }
  }
}

export function leaseResultToWire(result: LeaseResult): WireResult {
  switch (result.kind) {
    case 'grant-lease':
      return { kind: { $case: 'grantLease', value: {} } }
    case 'keep-alive':
      return { kind: { $case: 'keepAlive', value: { ttlMs: BigInt(result.ttlMs) } } }
    case 'revoke-lease':
      return { kind: { $case: 'revokeLease', value: { existed: result.existed, more: result.more } } }
  }
}

export function leaseResultFromWire(kind: Extract<WireResultKind, { $case: LeaseCase }>): LeaseResult {
  switch (kind.$case) {
    case 'grantLease':
      return { kind: 'grant-lease' }
    case 'keepAlive':
      return { kind: 'keep-alive', ttlMs: Number(kind.value.ttlMs) }
    case 'revokeLease':
      return { kind: 'revoke-lease', existed: kind.value.existed, more: kind.value.more }
  }
}
