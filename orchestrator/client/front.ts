import { type Clock, sleep } from '../core/clock.js'
import type { Limits } from '../core/limits.js'
import { bytesOf, type Operation, type Result } from '../core/operation.js'
import { CancelledError } from '../errors/index.js'
import { checkArguments } from '../store/execute.js'
import { faultOf } from '../store/validate.js'
import { Gate } from './gate.js'

export interface RequestOptions {
  /** How long this operation may take, ms. */
  readonly deadlineMs?: number
  /** Aborting it ends the operation with CANCELLED. */
  readonly signal?: AbortSignal
}

export interface EngineOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** What carries operations: a Store, or the way through a gateway. */
export interface Engine {
  execute(operation: Operation, options: EngineOptions): Promise<Result>
  close(): void
}

export interface FrontOptions {
  readonly engine: Engine
  readonly clock: Clock
  /** Those of the engine. */
  readonly limits: Limits
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
  async execute(operation: Operation, options?: RequestOptions): Promise<Result> {
    const { engine, clock, limits } = this.#options
    const { deadlineMs = limits.deadlineMs, signal } = options ?? {}
    checkArguments(operation, deadlineMs)
    if (this.#closing) throw closed()
    const bytes = bytesOf(operation)
    let leftMs = deadlineMs
    if (!this.#gate.tryEnter(bytes)) {
      // What will be refused need not wait for that, nor make others wait.
      const fault = faultOf(operation, limits)
      if (fault !== undefined) throw fault
      const began = clock.monotonic()
      await this.#gate.enter(bytes, deadlineMs, signal)
      leftMs -= clock.monotonic() - began
    }
    try {
      return await engine.execute(operation, { deadlineMs: leftMs, signal })
    } finally {
      this.#gate.leave(bytes)
    }
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
