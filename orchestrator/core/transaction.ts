import type {
  AppendOperation,
  AppendResult,
  DeleteOperation,
  DeleteResult,
  GetOperation,
  GetResult,
  IncrementOperation,
  IncrementResult,
  PutOperation,
  PutResult,
} from './operation.js'

/** Operations on keys of one partition, at one moment, all of them or none: `then` if every condition holds, else `otherwise`. */
export interface TransactionOperation {
  readonly kind: 'transaction'
  /** One of its keys, which stands for all; empty if it has none. */
  readonly key: Uint8Array
  readonly conditions: readonly Condition[]
  readonly then: readonly Step[]
  readonly otherwise: readonly Step[]
}

export type Comparison = '==' | '!=' | '<' | '>'

/** Holds if what the key is compares so with the operand. Of a value and of existence only == and != are known. */
export type Condition = VersionCondition | ValueCondition | ExistsCondition

interface OnKey {
  readonly key: Uint8Array
  readonly comparison: Comparison
}

interface VersionCondition extends OnKey {
  readonly what: 'version'
  /** That of an absent key is 0. */
  readonly operand: bigint
}

interface ValueCondition extends OnKey {
  readonly what: 'value'
  /** An absent key has none, which is not equal to any. */
  readonly operand: Uint8Array
}

interface ExistsCondition extends OnKey {
  readonly what: 'exists'
  readonly operand: boolean
}

/** An operation of a transaction: it sees what those before it have done. A get has no bound, and nothing returns a previous value. */
export type Step = GetOperation | PutOperation | DeleteOperation | AppendOperation | IncrementOperation

export interface TransactionResult {
  readonly kind: 'transaction'
  /** Every condition held, and the results are those of `then`. */
  readonly succeeded: boolean
  readonly results: readonly StepResult[]
}

export type StepResult = GetResult | PutResult | DeleteResult | AppendResult | IncrementResult

/** Limits of a transaction, the same in the nodes (node-go/fsm): conditions and operations, and the bytes of its keys and values. */
export const TRANSACTION_OPERATIONS_MAX = 128
export const TRANSACTION_BYTES_MAX = 512 << 10

type Parts = Omit<TransactionOperation, 'kind' | 'key'>

export function transactionOf(parts: Parts): TransactionOperation {
  const [first] = keysOf(parts)
  return { kind: 'transaction', key: first ?? NO_KEY, ...parts }
}

const NO_KEY = new Uint8Array()

export function keysOf({ conditions, then, otherwise }: Parts): Uint8Array[] {
  return [...conditions, ...then, ...otherwise].map(({ key }) => key)
}

/** Of its keys and values. */
export function payloadOf({ conditions, then, otherwise }: Parts): number {
  let sum = 0
  for (const { key, operand } of conditions) sum += key.byteLength + lengthOf(operand)
  for (const step of [...then, ...otherwise]) sum += step.key.byteLength + ('value' in step ? step.value.byteLength : 0)
  return sum
}

function lengthOf(operand: Condition['operand']): number {
  return operand instanceof Uint8Array ? operand.byteLength : 0
}

export function partsOf({ conditions, then, otherwise }: Parts): number {
  return conditions.length + then.length + otherwise.length
}

/** Whether its answer may hold values. */
export function readsValues({ then, otherwise }: Parts): boolean {
  return then.some(isGet) || otherwise.some(isGet)
}

function isGet({ kind }: Step): boolean {
  return kind === 'get'
}
