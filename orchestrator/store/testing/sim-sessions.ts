import { type Operation, type Result, SESSION_ID_BYTES, SESSION_WINDOW, type Stamp } from '../../core/operation.js'
import { type Code, KvError, kvError } from '../../errors/index.js'

export type Answer = Result | KvError

interface Remembered {
  floor: bigint
  /** Numbers whose answer let the client try again with another one. */
  readonly refused: Set<bigint>
  readonly answers: Map<bigint, Answer>
}

/** What all nodes of a shard agree on, as far as sessions go: the rules of node-go/fsm/session.go. */
export class SimSessions {
  opened = 0
  /** How often a number came again that had its answer already. */
  repeats = 0
  /** Told of a number below the floor that was not refused before: by then nobody may wait for its answer. */
  forgotten: (write: Operation) => void = () => {}
  readonly #remembered = new Map<string, Remembered>()

  /** No other shard gives the same ids. */
  constructor(private readonly shard = 0) {}

  open(): Answer {
    const id = Buffer.alloc(SESSION_ID_BYTES)
    id.writeUInt32BE(this.shard)
    id.writeUInt32BE(++this.opened, 4)
    this.#remembered.set(nameOf(id), { floor: 1n, refused: new Set(), answers: new Map() })
    return { kind: 'open-session', id }
  }

  /** The first answer to a number is the answer of all its copies. */
  once(stamp: Stamp, operation: Operation, write: () => Answer): Answer {
    const session = this.#remembered.get(nameOf(stamp.session.id))
    if (session === undefined) return refusal('SESSION_EXPIRED', 'nobody knows the session')
    const sequence = BigInt(stamp.sequence)
    raise(session, BigInt(stamp.session.floor))
    if (sequence < session.floor) {
      if (!session.refused.has(sequence)) this.forgotten(operation)
      return refusal('SESSION_EXPIRED', 'the answer is forgotten')
    }
    if (sequence - session.floor >= SESSION_WINDOW) return refusal('INVALID_ARGUMENT', 'too far ahead')
    const known = session.answers.get(sequence)
    if (known !== undefined) this.repeats++
    const answer = known ?? write()
    session.answers.set(sequence, answer)
    if (answer instanceof KvError) session.refused.add(sequence)
    return answer
  }

  /** Every session was silent for too long. */
  expire(): void {
    this.#remembered.clear()
  }
}

export function refusal(code: Code, message: string, version?: bigint): KvError {
  return kvError(code, message, { outcome: 'not-applied', version })
}

function nameOf(session: Uint8Array): string {
  return Buffer.from(session).toString('hex')
}

function raise(session: Remembered, floor: bigint): void {
  if (floor > session.floor) session.floor = floor
  for (const sequence of session.answers.keys()) if (sequence < floor) session.answers.delete(sequence)
}
