import { type Operation, type Result, SESSION_ID_BYTES, type Stamp } from '../../core/operation.js'
import { KvError, kvError, UnavailableError } from '../../errors/index.js'

type Answer = Result | KvError

/** Of one partition, in one shard (node-go/move/DESIGN.md). */
export type Ownership = 'owned' | 'frozen' | 'importing' | 'none'

/** What is stored, wherever it is: a move takes it along. Values are made of the tokens that were appended. */
export type Rows = Map<string, string[]>

/** What all nodes of one shard agree on, as far as sessions, ownership and appends go. */
export class OwningShard {
  ownership: Ownership
  /** In which the ownership changed last. */
  epoch = 1n
  /** How often it has refused a write so. */
  readonly refused = { MOVING: 0, WRONG_SHARD: 0, SESSION_EXPIRED: 0 }
  /** How many sessions it has opened. */
  get opened(): number {
    return this.#sessions.size
  }
  /** Of the writes that reached the state machine, in their order. */
  readonly sequences: number[] = []
  /** Of the next write, only the answer is lost; or it is lost itself. */
  loses: 'answer' | 'write' | undefined
  readonly #sessions = new Map<string, Map<string, Answer>>()

  constructor(
    readonly id: number,
    readonly rows: Rows,
    ownership: Ownership,
  ) {
    this.ownership = ownership
  }

  answer(operation: Operation, stamp: Stamp | undefined): Answer {
    if (operation.kind === 'get') return this.#read(operation.key)
    if (operation.kind === 'open-session') return this.#open()
    const { loses } = this
    this.loses = undefined
    if (loses !== 'write') {
      const answer = this.apply(operation, stamp)
      if (loses === undefined) return answer
    }
    return new UnavailableError('leadership lost while committing', { outcome: 'unknown' })
  }

  /** A write, as the state machine does it; also one that comes late. */
  apply(operation: Operation, stamp: Stamp | undefined): Answer {
    if (stamp === undefined) throw new Error('a write came without a number')
    this.sequences.push(Number(stamp.sequence))
    const answers = this.#sessions.get(Buffer.from(stamp.session.id).toString('hex'))
    if (answers === undefined) return this.#refusal('SESSION_EXPIRED')
    const number = String(stamp.sequence)
    const answer = answers.get(number) ?? this.#write(operation)
    // About the moment, not about the number.
    if (!isMoving(answer)) answers.set(number, answer)
    return answer
  }

  #open(): Answer {
    const id = Buffer.alloc(SESSION_ID_BYTES)
    id.writeUInt32BE(this.id, 0)
    id.writeUInt32BE(this.#sessions.size + 1, 4)
    this.#sessions.set(id.toString('hex'), new Map())
    return { kind: 'open-session', id }
  }

  #read(key: Uint8Array): Answer {
    if (this.ownership === 'importing') return this.#refusal('MOVING')
    if (this.ownership === 'none') return this.#refusal('WRONG_SHARD')
    const tokens = this.rows.get(nameOf(key))
    return {
      kind: 'get',
      found: tokens !== undefined,
      value: Buffer.from(tokens?.join('') ?? ''),
      version: BigInt(tokens?.length ?? 0),
    }
  }

  #write(operation: Operation): Answer {
    if (operation.kind !== 'append') throw new Error(`${operation.kind} is no write of ours`)
    if (this.ownership === 'none') return this.#refusal('WRONG_SHARD')
    if (this.ownership !== 'owned') return this.#refusal('MOVING')
    const tokens = [...(this.rows.get(nameOf(operation.key)) ?? []), nameOf(operation.value)]
    this.rows.set(nameOf(operation.key), tokens)
    return { kind: 'append', version: BigInt(tokens.length), length: tokens.join('').length }
  }

  #refusal(code: keyof OwningShard['refused']): KvError {
    this.refused[code]++
    return kvError(code, `shard ${this.id} says so`, { outcome: 'not-applied', epoch: this.epoch })
  }
}

function isMoving(answer: Answer): boolean {
  return answer instanceof KvError && answer.code === 'MOVING'
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}
