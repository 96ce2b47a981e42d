import type { BatchRequest, BatchResponse, Result } from '../gen/kvorum/v1/kv.js'
import type { ConnectionHandlers, LaneConnection } from '../lane-connection.js'

/** A connection without a network: a test says when it opens, breaks, and what the peer answers. */
export class FakeConnection implements LaneConnection {
  readonly written: BatchRequest[] = []
  closed = false

  constructor(
    readonly address: string,
    private readonly handlers: ConnectionHandlers,
  ) {}

  write(message: BatchRequest): void {
    this.written.push(message)
  }

  close(): void {
    this.closed = true
  }

  open(): void {
    this.handlers.opened()
  }

  break(cause: Error = new Error('the test broke it')): void {
    this.handlers.broken(cause)
  }

  receive(message: BatchResponse): void {
    this.handlers.received(message)
  }

  /** Answers a message as a leader that has nothing stored. */
  answer(message: BatchRequest | undefined): void {
    if (message === undefined) throw new Error('there is no such message')
    this.receive({ id: message.id, results: resultsOf(message), positions: [] })
  }

  /** Answers some operations of a message, in the same manner. */
  answerPart(message: BatchRequest | undefined, positions: readonly number[]): void {
    if (message === undefined) throw new Error('there is no such message')
    const results = resultsOf(message)
    const part = positions.map((position) => results[position] ?? succeed('put'))
    this.receive({ id: message.id, results: part, positions: [...positions] })
  }

  /** Answers everything that was not answered so far. */
  answerAll(): void {
    for (const message of this.written.splice(0)) this.answer(message)
  }
}

function resultsOf({ operations }: BatchRequest): Result[] {
  return operations.map(({ kind }) => succeed(kind?.$case))
}

function succeed(kind: string | undefined): Result {
  switch (kind) {
    case 'get':
      return { kind: { $case: 'get', value: { found: false, value: new Uint8Array(0), version: 0n } } }
    case 'put':
      return { kind: { $case: 'put', value: { version: 1n } } }
    default:
      return { kind: { $case: 'delete', value: { existed: false } } }
  }
}

/** Runs what is planned for the end of this turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
