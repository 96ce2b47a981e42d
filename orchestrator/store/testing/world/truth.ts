// The data itself, one copy of it, with all that it ever was. What a call was told is held against that: it must be what
// one execution says, between the call's beginning and its end. Nothing here knows of sessions, numbers or attempts.
import type { LeaseOperation } from '../../../core/lease.js'
import { isPlaced, isWrite, type Operation, type Result } from '../../../core/operation.js'
import { KvError } from '../../../errors/index.js'
import { type Answer, refusal } from '../sim-sessions.js'

type DataOperation = Exclude<
  Operation,
  LeaseOperation | { kind: 'open-session' | 'page' | 'touch' | 'transaction' | 'ttl-of' }
>

/** What a key was from a moment on, until its next state. */
interface State {
  readonly since: number
  /** As reads show it: 0 for a key that is absent. */
  readonly version: bigint
  readonly value: string | undefined
}

interface Execution {
  readonly moment: number
  readonly result: Result
}

/** A call, as the caller knows it. */
export interface Asked {
  readonly id: number
  readonly operation: DataOperation
  readonly began: number
  readonly ended: number
  readonly answer: Answer
}

export class Truth {
  #moment = 0
  readonly #states = new Map<string, State[]>()
  /** Of a deleted key, too: a version is never given again. */
  readonly #versions = new Map<string, bigint>()
  readonly #executions = new Map<number, Execution[]>()

  /** The next moment: no two things happen in one. */
  tick(): number {
    return ++this.#moment
  }

  /** A key that is there, with version 1, from the beginning. */
  prepare(key: string, value: string): void {
    this.#states.set(key, [{ since: 0, version: 1n, value }])
    this.#versions.set(key, 1n)
  }

  execute(operation: DataOperation): Answer {
    const key = textOf(operation.key)
    const { version, value } = this.#statesOf(key).at(-1) ?? ABSENT
    if (operation.kind === 'get')
      return { kind: 'get', found: value !== undefined, value: bytesOf(value ?? ''), version }
    if (!conditionHolds(operation, version, value)) {
      return refusal('PRECONDITION_FAILED', 'another version', version)
    }
    const next = (this.#versions.get(key) ?? 0n) + 1n
    const result = this.#write(operation, key, value, next)
    const id = writeIdOf(operation)
    this.#executions.set(id, [...(this.#executions.get(id) ?? []), { moment: this.#moment, result }])
    return result
  }

  /** What is wrong with what a call was told; undefined: nothing. To be asked when nothing is on its way any more. */
  faultOf({ id, operation, began, ended, answer }: Asked): string | undefined {
    const within = ({ moment }: Execution) => began < moment && moment < ended
    const executions = this.#executions.get(id) ?? []
    const [execution] = executions
    if (executions.length > 1) return `it was applied ${executions.length} times`
    if (!(answer instanceof KvError)) {
      if (answer.kind === 'get') return this.#faultOfRead(operation, answer, began, ended)
      if (execution === undefined) return 'it was not applied'
      if (!within(execution)) return 'it was applied outside of the call'
      return same(execution.result, answer) ? undefined : 'that is the answer to another one'
    }
    if (operation.kind === 'get' && answer.outcome !== 'not-applied') return 'it was a read'
    if (answer.outcome === 'not-applied' && execution !== undefined) return 'it was applied'
    if (answer.outcome === 'applied' && !(execution && within(execution))) return 'it was not applied'
    if (answer.code !== 'PRECONDITION_FAILED') return undefined
    return this.#faultOfRefusal(operation, answer, began, ended)
  }

  #write(
    operation: Exclude<DataOperation, { kind: 'get' }>,
    key: string,
    old: string | undefined,
    next: bigint,
  ): Result {
    const since = this.tick()
    if (operation.kind === 'delete') {
      if (old === undefined) return { kind: 'delete', existed: false }
      this.#change(key, { since, version: 0n, value: undefined }, next)
      return { kind: 'delete', existed: true }
    }
    if (operation.kind === 'increment') {
      const sum = BigInt(old ?? '0') + operation.by
      this.#change(key, { since, version: next, value: `${sum}` }, next)
      return { kind: 'increment', version: next, value: sum }
    }
    const value = `${operation.kind === 'append' ? (old ?? '') : ''}${textOf(operation.value)}`
    this.#change(key, { since, version: next, value }, next)
    if (operation.kind === 'append') return { kind: 'append', version: next, length: value.length }
    return { kind: operation.kind, version: next }
  }

  #change(key: string, state: State, version: bigint): void {
    this.#statesOf(key).push(state)
    this.#versions.set(key, version)
  }

  #statesOf(key: string): State[] {
    const states = this.#states.get(key) ?? [ABSENT]
    this.#states.set(key, states)
    return states
  }

  /** The states of a key while a call lasted. */
  #during(operation: DataOperation, began: number, ended: number): State[] {
    const states = this.#statesOf(textOf(operation.key))
    return states.filter(
      ({ since }, at) => since < ended && (states[at + 1]?.since ?? Number.POSITIVE_INFINITY) > began,
    )
  }

  #faultOfRead(operation: DataOperation, answer: Result & { kind: 'get' }, began: number, ended: number) {
    const { found, version, value } = answer
    const read = found ? textOf(value) : undefined
    const wasSo = this.#during(operation, began, ended).some((one) => one.version === version && one.value === read)
    return wasSo ? undefined : `the key was not ${read ?? 'absent'} (version ${version}) while the call lasted`
  }

  #faultOfRefusal(operation: DataOperation, { version }: KvError, began: number, ended: number) {
    if (operation.kind === 'get' || operation.kind === 'append' || operation.kind === 'increment') {
      return 'it has no condition'
    }
    const wasSo = this.#during(operation, began, ended).filter((one) => one.version === version)
    if (wasSo.length === 0) return `the key's version was not ${version} while the call lasted`
    const mayFail = wasSo.some((one) => !conditionHolds(operation, one.version, one.value))
    return mayFail ? undefined : 'its condition held'
  }
}

function conditionHolds(operation: DataOperation, version: bigint, value: string | undefined): boolean {
  if (operation.kind === 'put' || operation.kind === 'delete') return (operation.ifVersion ?? version) === version
  if (operation.kind !== 'compare-and-set') return true
  return (operation.expected && textOf(operation.expected)) === value
}

const ABSENT: State = { since: 0, version: 0n, value: undefined }

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text)
}

/** Those writes that this world knows. */
export function isNumbered(operation: Operation): operation is Exclude<DataOperation, { kind: 'get' }> {
  return isWrite(operation) && operation.kind !== 'touch' && operation.kind !== 'transaction' && !isPlaced(operation)
}

/** The value that a write writes, or adds, is its number; a delete has a key of its own that is called so. */
export function writeIdOf(operation: Exclude<DataOperation, { kind: 'get' }>): number {
  if (operation.kind === 'increment') return Number(operation.by)
  return Number.parseInt(textOf(operation.kind === 'delete' ? operation.key : operation.value), 10)
}

function same(one: Result, other: Result): boolean {
  if (one.kind === 'append' && other.kind === 'append') {
    return one.version === other.version && one.length === other.length
  }
  if (one.kind === 'increment' && other.kind === 'increment') {
    return one.version === other.version && one.value === other.value
  }
  if (one.kind === 'put' || one.kind === 'compare-and-set')
    return one.kind === other.kind && one.version === other.version
  return one.kind === 'delete' && other.kind === 'delete' && one.existed === other.existed
}
