import type { Operation, Result } from '../../core/operation.js'
import type { Condition, StepResult, TransactionOperation } from '../../core/transaction.js'
import { KvError } from '../../errors/index.js'

/** A transaction on rows that a test keeps in a Map: `execute` carries out one operation, and throws or gives what fails it. */
export function transactOn<Row>(
  operation: TransactionOperation,
  rows: Map<string, Row>,
  execute: (one: Operation) => Result | KvError,
): Result | KvError {
  const succeeded = operation.conditions.every((condition) => holds(condition, execute))
  const before = new Map(rows)
  const results: StepResult[] = []
  for (const step of succeeded ? operation.then : operation.otherwise) {
    const result = tried(() => execute(step))
    if (result instanceof KvError) {
      rows.clear()
      for (const [key, row] of before) rows.set(key, row)
      return result
    }
    results.push(result as StepResult)
  }
  return { kind: 'transaction', succeeded, results }
}

function tried(execute: () => Result | KvError): Result | KvError {
  try {
    return execute()
  } catch (thrown) {
    if (thrown instanceof KvError) return thrown
    throw thrown
  }
}

function holds({ key, what, comparison, operand }: Condition, execute: (one: Operation) => Result | KvError): boolean {
  const now = execute({ kind: 'get', key })
  if (now instanceof KvError || now.kind !== 'get') throw new TypeError('a get gives a value')
  if (what === 'version') {
    const order = now.version < operand ? '<' : now.version > operand ? '>' : '=='
    return comparison === '!=' ? order !== '==' : order === comparison
  }
  const isEqual = what === 'exists' ? now.found === operand : now.found && Buffer.compare(now.value, operand) === 0
  return isEqual === (comparison === '==')
}
