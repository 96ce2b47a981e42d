import type {
  Comparison,
  Condition,
  Step,
  StepResult,
  TransactionOperation,
  TransactionResult,
} from '../core/transaction.js'
import { transactionOf } from '../core/transaction.js'
import {
  Condition_Comparison,
  type TransactionRequest,
  type TransactionResponse,
  type Condition as WireCondition,
  type TransactionOperation as WireStep,
  type TransactionResult as WireStepResult,
} from './gen/kvorum/v1/kv.js'
import { foundToWire, narrow, putToWire } from './ttl.js'

const COMPARISONS: Readonly<Record<Comparison, Condition_Comparison>> = {
  '==': Condition_Comparison.EQUAL,
  '!=': Condition_Comparison.NOT_EQUAL,
  '<': Condition_Comparison.LESS,
  '>': Condition_Comparison.GREATER,
}
const BY_NUMBER = new Map(Object.entries(COMPARISONS).map(([text, number]) => [number as number, text as Comparison]))

/** Transactions as the wire has them. The bytes are shared, not copied. */
export function transactionToWire({ conditions, then, otherwise }: TransactionOperation): TransactionRequest {
  return {
    conditions: conditions.map(conditionToWire),
    then: then.map(stepToWire),
    otherwise: otherwise.map(stepToWire),
  }
}

function conditionToWire({ key, comparison, what, operand }: Condition): WireCondition {
  return {
    key,
    comparison: COMPARISONS[comparison],
    operand: { $case: what, value: operand } as WireCondition['operand'],
  }
}

function stepToWire(step: Step): WireStep {
  if (step.kind === 'put') return { kind: { $case: 'put', value: putToWire(step) } }
  return { kind: { $case: step.kind, value: step } as WireStep['kind'] }
}

/** Undefined for one with a condition or an operation that this version does not know. */
export function transactionFromWire(request: TransactionRequest): TransactionOperation | undefined {
  const conditions = request.conditions.map(conditionFromWire)
  const [then, otherwise] = [request.then.map(stepFromWire), request.otherwise.map(stepFromWire)]
  if (!isKnown(conditions) || !isKnown(then) || !isKnown(otherwise)) return undefined
  return transactionOf({ conditions, then, otherwise })
}

function isKnown<T>(list: (T | undefined)[]): list is T[] {
  return !list.includes(undefined)
}

function conditionFromWire({ key, comparison, operand }: WireCondition): Condition | undefined {
  const known = BY_NUMBER.get(comparison)
  if (known === undefined || operand === undefined) return undefined
  return { key, comparison: known, what: operand.$case, operand: operand.value } as Condition
}

function stepFromWire({ kind }: WireStep): Step | undefined {
  if (kind?.$case === 'put') return { kind: 'put', ...kind.value, ttlMs: narrow(kind.value.ttlMs) }
  return kind === undefined ? undefined : ({ kind: kind.$case, ...kind.value } as Step)
}

export function transactionResultToWire({ succeeded, results }: TransactionResult): TransactionResponse {
  return { succeeded, results: results.map(stepResultToWire) }
}

function stepResultToWire(result: StepResult): WireStepResult {
  if (result.kind === 'get') return { kind: { $case: 'get', value: foundToWire(result) } }
  if (result.kind !== 'append') return { kind: { $case: result.kind, value: result } as WireStepResult['kind'] }
  return { kind: { $case: 'append', value: { version: result.version, length: BigInt(result.length) } } }
}

/** Undefined for one with a result that this version does not know. */
export function transactionResultFromWire({ succeeded, results }: TransactionResponse): TransactionResult | undefined {
  const known = results.map(stepResultFromWire)
  return isKnown(known) ? { kind: 'transaction', succeeded, results: known } : undefined
}

function stepResultFromWire({ kind }: WireStepResult): StepResult | undefined {
  if (kind === undefined) return undefined
  if (kind.$case === 'get') return { kind: 'get', ...kind.value, ttlMs: narrow(kind.value.ttlMs) }
  if (kind.$case !== 'append') return { kind: kind.$case, ...kind.value } as StepResult
  return { kind: 'append', version: kind.value.version, length: Number(kind.value.length) }
}
