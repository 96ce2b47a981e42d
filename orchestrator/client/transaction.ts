import type { Operation, Result } from '../core/operation.js'
import {
  type Comparison,
  type Condition,
  type Step,
  type TransactionResult,
  transactionOf,
} from '../core/transaction.js'
import { checkOptions, type Names } from './arguments.js'
import {
  type Appended,
  type ConditionOptions,
  type Deleted,
  type PutConditionOptions,
  putOperation,
  replyOf,
  type Stored,
} from './batch.js'
import { REQUEST_OPTIONS, type RequestOptions } from './front.js'
import { type Bytes, type Hit, toBytes } from './values.js'

/** An operation of a transaction; `op` makes them. `Reply` is what it gives. */
export interface Op<Reply = OpReply> {
  readonly step: Step
  /** For types only. */
  readonly reply?: Reply
}

/** What an operation of a transaction gives: an increment the sum. */
export type OpReply = Hit | null | Stored | Deleted | Appended | bigint

const OPTIONS = {
  put: { ifVersion: true, ifAbsent: true, ttlMs: true, lease: true } satisfies Names<
    Omit<PutConditionOptions, 'returnPrevious'>
  >,
  delete: { ifVersion: true } satisfies Names<Pick<ConditionOptions, 'ifVersion'>>,
} as const

/** Operations for `then` and `else`. A key or value that can be none is a TypeError at once. */
export const op = Object.freeze({
  get: (key: Bytes): Op<Hit | null> => ({ step: { kind: 'get', key: toBytes(key, 'key') } }),
  put: (key: Bytes, value: Bytes, options?: Omit<PutConditionOptions, 'returnPrevious'>): Op<Stored> => {
    checkOptions(options, OPTIONS.put, 'op.put')
    return { step: putOperation(key, value, options) }
  },
  delete: (key: Bytes, options?: Pick<ConditionOptions, 'ifVersion'>): Op<Deleted> => {
    checkOptions(options, OPTIONS.delete, 'op.delete')
    return { step: { kind: 'delete', key: toBytes(key, 'key'), ifVersion: options?.ifVersion } }
  },
  append: (key: Bytes, value: Bytes): Op<Appended> => ({
    step: { kind: 'append', key: toBytes(key, 'key'), value: toBytes(value, 'value') },
  }),
  increment: (key: Bytes, by = 1n): Op<bigint> => ({ step: { kind: 'increment', key: toBytes(key, 'key'), by } }),
})

type RepliesOf<Ops extends readonly Op[]> = { [At in keyof Ops]: Ops[At] extends Op<infer Reply> ? Reply : never }

/** Which branch ran, and what its operations gave. */
export type TransactionReply<Then extends readonly Op[], Else extends readonly Op[]> =
  | { readonly succeeded: true; readonly results: RepliesOf<Then> }
  | { readonly succeeded: false; readonly results: RepliesOf<Else> }

type Execute = (operation: Operation, options?: RequestOptions) => Promise<Result>

interface Parts {
  readonly conditions: readonly Condition[]
  readonly then: readonly Step[]
  readonly otherwise: readonly Step[]
}

/** A transaction that has its operations. Each method gives a new one. */
export class Transaction<Then extends readonly Op[] = [], Else extends readonly Op[] = []> {
  constructor(
    protected readonly execute: Execute,
    protected readonly parts: Parts,
  ) {}

  /** What is done if a condition does not hold. */
  else<Ops extends readonly Op[]>(...ops: Ops): Transaction<Then, Ops> {
    return new Transaction(this.execute, { ...this.parts, otherwise: ops.map(stepOf) })
  }

  /**
   * Carries it out: all of a branch at one moment, or nothing. Rejects with CROSS_SHARD if the keys are in more than one partition,
   * and with what an operation came to that failed, whose `operation` says which one.
   */
  async run(options?: RequestOptions): Promise<TransactionReply<Then, Else>> {
    checkOptions(options, REQUEST_OPTIONS, 'run of a transaction')
    const { succeeded, results } = (await this.execute(transactionOf(this.parts), options)) as TransactionResult
    const steps = succeeded ? this.parts.then : this.parts.otherwise
    const replies = results.map((result, index) => replyOf(steps[index] as Step, result))
    return { succeeded, results: replies } as unknown as TransactionReply<Then, Else>
  }
}

/** A transaction as it begins. It is run, not awaited: `run` gives the promise. */
export class TransactionStart extends Transaction {
  constructor(execute: Execute, parts: Parts = { conditions: [], then: [], otherwise: [] }) {
    super(execute, parts)
  }

  /**
   * One more condition, all of which have to hold. A version compares with ==, !=, < and >, that of an absent key is 0; a value and
   * existence with == and !=, and an absent key has a value that is not equal to any.
   */
  if(key: Bytes, what: 'version', comparison: Comparison, version: bigint | number): TransactionStart
  if(key: Bytes, what: 'value', comparison: '==' | '!=', value: Bytes): TransactionStart
  if(key: Bytes, what: 'exists', comparison: '==' | '!=', exists: boolean): TransactionStart
  if(key: Bytes, what: Condition['what'], comparison: Comparison, operand: bigint | number | Bytes | boolean) {
    const condition = { key: toBytes(key, 'key'), what, comparison, operand: operandOf(what, operand) } as Condition
    if (!(what === 'version' ? ORDERS : EQUALITIES).includes(comparison)) {
      throw new TypeError(`a condition on a ${what} has no comparison ${String(comparison)}`)
    }
    return new TransactionStart(this.execute, { ...this.parts, conditions: [...this.parts.conditions, condition] })
  }

  /** What is done if every condition holds, also if there is none. (Who awaits this calls it, and gets a TypeError that says to run it.) */
  then<Ops extends readonly Op[]>(...ops: Ops): Transaction<Ops> {
    return new Transaction(this.execute, { ...this.parts, then: ops.map(stepOf) })
  }
}

const ORDERS: readonly unknown[] = ['==', '!=', '<', '>']
const EQUALITIES: readonly unknown[] = ['==', '!=']

function operandOf(what: Condition['what'], operand: bigint | number | Bytes | boolean): Condition['operand'] {
  if (what === 'exists' && typeof operand === 'boolean') return operand
  if (what === 'value') return toBytes(operand as Bytes, 'value')
  if (
    what === 'version' &&
    (typeof operand === 'bigint' || Number.isSafeInteger(operand)) &&
    BigInt.asUintN(64, BigInt(operand as bigint)) === BigInt(operand as bigint)
  ) {
    return BigInt(operand as bigint)
  }
  if (what === 'version')
    throw new TypeError('the version must be a bigint or a whole number, not negative and below 2^64')
  throw new TypeError(
    what === 'exists' ? 'exists must be true or false' : "a condition is on 'version', 'value' or 'exists'",
  )
}

/** An await of a transaction calls its `then` with functions. */
function stepOf(one: Op | undefined): Step {
  if (typeof one === 'object' && one !== null && 'step' in one) return one.step
  throw new TypeError(
    'then and else take operations, as op.put(key, value): run() carries a transaction out, and await does not',
  )
}
