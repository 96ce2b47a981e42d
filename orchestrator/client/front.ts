import { type Clock, sleep } from '../core/clock.js'
import type { Limits } from '../core/limits.js'
import { bytesOf, type Operation, type Result } from '../core/operation.js'
import { CancelledError, type KvError } from '../errors/index.js'
import type { Done } from '../store/call.js'
import { checkArguments } from '../store/execute.js'
import { faultOf } from '../store/validate.js'
import type { Names } from './arguments.js'
import { Gate } from './gate.js'

export interface RequestOptions {
  /** How long this operation may take, ms. */
  readonly deadlineMs?: number
  /** Aborting it ends the operation with CANCELLED. */
  readonly signal?: AbortSignal
}

export interface ReadOptions extends RequestOptions {
  /**
   * Any replica may answer, with what was current at some moment no earlier than so many ms before the call. Two such reads
   * may be answered by two replicas, the second one from an earlier moment. Default 0: linearizable.
   */
  readonly staleMs?: number
}

export const REQUEST_OPTIONS: Names<RequestOptions> = { deadlineMs: true, signal: true }
export const READ_OPTIONS: Names<ReadOptions> = { ...REQUEST_OPTIONS, staleMs: true }

/** What carries operations: a Store, or the way through a gateway. */
export interface Engine {
  /** `deadlineMs` is from now. The arguments were checked; `done` may be called before it returns. */
  perform(operation: Operation, deadlineMs: number, signal: AbortSignal | undefined, done: Done): void
  close(): void
}

export interface FrontOptions {
  readonly engine: Engine
  readonly clock: Clock
  /** Those of the engine. */
  readonly limits: Limits
  /** Makes of a failure what the caller is told. */
  readonly explain?: (error: KvError) => KvError
}

interface Ask {
  readonly operation: Operation
  readonly bytes: number
  readonly signal: AbortSignal | undefined
  readonly done: Done
}

/** The part that all clients share, between their faces and an engine: deadlines, back-pressure, the end. */
export class Front {
  readonly #options: FrontOptions
  readonly #gate: Gate
  #closing = false

  constructor(options: FrontOptions) {
    const { clock, limits } = options
    this.#options = options
    this.#gate = new Gate({ clock, bytesMax: limits.inFlightBytesMax, operationsMax: limits.inFlightOperationsMax })
  }

  /** Rejects with a KvError, or with a TypeError for what is a mistake of the program. */
  execute(operation: Operation, options?: RequestOptions): Promise<Result> {
    return this.ask(operation, options, (_, result) => result)
  }

  /** The same for a caller who wants something made of the result. Whatever `replyOf` throws rejects. */
  ask<Reply>(
    operation: Operation,
    options: RequestOptions | undefined,
    replyOf: (operation: Operation, result: Result) => Reply,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const { deadlineMs = this.#options.limits.deadlineMs, signal } = options ?? {}
      checkArguments(operation, deadlineMs, signal)
      const done: Done = (error, result) => {
        if (error !== undefined) {
          reject(this.#options.explain?.(error) ?? error)
          return
        }
        try {
          resolve(replyOf(operation, result as Result))
        } catch (cause) {
          // Not into the lane, which has other answers to hand out.
          reject(cause as Error)
        }
      }
      // Once: the caller's bytes are not to change, but may.
      const ask: Ask = { operation, bytes: bytesOf(operation), signal, done }
      if (this.#closing) done(closed(), undefined)
      else if (this.#gate.tryEnter(ask.bytes)) this.#perform(ask, deadlineMs)
      else this.#wait(ask, deadlineMs)
    })
  }

  /** For those that do not fit now. */
  #wait(ask: Ask, deadlineMs: number): void {
    const { clock, limits } = this.#options
    // What will be refused need not wait for that, nor make others wait.
    const fault = faultOf(ask.operation, limits)
    if (fault !== undefined) {
      ask.done(fault, undefined)
      return
    }
    const began = clock.monotonic()
    this.#gate.enter(ask.bytes, deadlineMs, ask.signal, (refused) => {
      if (refused !== undefined) ask.done(refused, undefined)
      else this.#perform(ask, deadlineMs - (clock.monotonic() - began))
    })
  }

  /** For those that the gate has let in. */
  #perform({ operation, bytes, signal, done }: Ask, deadlineMs: number): void {
    this.#options.engine.perform(operation, deadlineMs, signal, (error, result) => {
      this.#gate.leave(bytes)
      done(error, result)
    })
  }

  /** Takes nothing new, lets what there is end within `ms`, and closes. */
  async drain(ms: number): Promise<void> {
    this.#closing = true
    const idle = new AbortController()
    const enough = sleep(this.#options.clock, ms, idle.signal).catch(() => {})
    await Promise.race([this.#gate.whenIdle(), enough])
    idle.abort()
    this.close()
  }

  /** Ends what is in flight with CANCELLED and its honest outcome, and frees everything. */
  close(): void {
    this.#closing = true
    this.#gate.close(closed())
    this.#options.engine.close()
  }
}

function closed(): CancelledError {
  return new CancelledError('the client is closed', { outcome: 'not-applied' })
}
