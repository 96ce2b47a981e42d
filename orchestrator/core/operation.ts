/** What a client asks of one key. The bytes belong to the operation until it is answered: do not change them. */
export type Operation = GetOperation | PutOperation | DeleteOperation

export interface GetOperation {
  readonly kind: 'get'
  readonly key: Uint8Array
}

export interface PutOperation {
  readonly kind: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Applies only if the key's version is this one; 0 means absent. */
  readonly ifVersion?: bigint | undefined
}

export interface DeleteOperation {
  readonly kind: 'delete'
  readonly key: Uint8Array
  readonly ifVersion?: bigint | undefined
}

export type Result = GetResult | PutResult | DeleteResult

export interface GetResult {
  readonly kind: 'get'
  readonly found: boolean
  /** A view into the message that it came in: copy it if it is to be kept for long. Empty when not found. */
  readonly value: Uint8Array
  readonly version: bigint
}

export interface PutResult {
  readonly kind: 'put'
  readonly version: bigint
}

export interface DeleteResult {
  readonly kind: 'delete'
  readonly existed: boolean
}

/** Whether the operation changes nothing, so that repeating it is always safe. */
export function isRead(operation: Operation): boolean {
  return operation.kind === 'get'
}

/** What holding the operation costs, for budgets: its bytes and a flat part for the objects around them. */
export function bytesOf(operation: Operation): number {
  const value = operation.kind === 'put' ? operation.value.byteLength : 0
  return operation.key.byteLength + value + OVERHEAD_BYTES
}

const OVERHEAD_BYTES = 256
