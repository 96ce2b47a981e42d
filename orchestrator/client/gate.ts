import type { Clock } from '../core/clock.js'
import { DEADLINE_MS_MAX } from '../core/limits.js'
import { CancelledError, DeadlineExceededError, type KvError } from '../errors/index.js'
import { onAbort } from '../store/abort.js'
import { type WakeEntry, WakeQueue } from '../store/wake-queue.js'

export interface GateOptions {
  readonly clock: Clock
  readonly bytesMax: number
  readonly operationsMax: number
}

/** Back-pressure: who would be too much at once waits until others have left, in the order of arrival. */
export class Gate {
  readonly #options: GateOptions
  readonly #waiting = new Set<Waiter>()
  /** The same ones, by their deadlines. */
  readonly #late: WakeQueue<Waiter>
  #admitting = false
  #bytes = 0
  #operations = 0
  #onIdle: (() => void)[] = []

  constructor(options: GateOptions) {
    this.#options = options
    this.#late = new WakeQueue(options.clock, (waiter) => {
      const message = `the deadline passed while ${this.#operations} operations, ${this.#bytes} bytes were before it`
      this.#refuse(waiter, new DeadlineExceededError(message, { outcome: 'not-applied' }))
    })
  }

  /** Lets in who fits, unless somebody waits already. */
  tryEnter(bytes: number): boolean {
    if (this.#waiting.size > 0 || !this.#fits(bytes)) return false
    this.#take(bytes)
    return true
  }

  /**
   * Calls `done` when there is room, or with DEADLINE_EXCEEDED or CANCELLED, perhaps before it returns. Whoever was let in
   * leaves by `leave`.
   */
  enter(
    bytes: number,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    done: (refused: KvError | undefined) => void,
  ): void {
    let deafen = () => {}
    const giveUp = () => {
      const message = 'the operation was cancelled by the caller before it began'
      this.#refuse(waiter, new CancelledError(message, { outcome: 'not-applied', cause: signal?.reason }))
    }
    const waiter = new Waiter(bytes, (refused) => {
      deafen()
      done(refused)
    })
    this.#waiting.add(waiter)
    this.#late.add(waiter, this.#options.clock.monotonic() + Math.min(deadlineMs, DEADLINE_MS_MAX))
    deafen = onAbort(signal, giveUp)
    if (signal?.aborted) giveUp()
  }

  leave(bytes: number): void {
    this.#bytes -= bytes
    this.#operations--
    this.#admit()
    if (!this.#idle) return
    for (const done of this.#onIdle.splice(0)) done()
  }

  /** Resolves when nobody is in and nobody waits. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#idle) resolve()
      else this.#onIdle.push(resolve)
    })
  }

  /** Sends away all who wait. */
  close(error: KvError): void {
    for (const waiter of [...this.#waiting]) this.#refuse(waiter, error)
  }

  get #idle(): boolean {
    return this.#operations === 0 && this.#waiting.size === 0
  }

  /** What is over the whole budget by itself must be possible when nothing else is there. */
  #fits(bytes: number): boolean {
    const { bytesMax, operationsMax } = this.#options
    return this.#operations === 0 || (this.#operations < operationsMax && this.#bytes + bytes <= bytesMax)
  }

  #take(bytes: number): void {
    this.#bytes += bytes
    this.#operations++
  }

  #admit(): void {
    // Who was let in may leave at once: the loop below looks at what that frees, and the stack does not grow.
    if (this.#admitting) return
    this.#admitting = true
    try {
      for (const waiter of this.#waiting) {
        if (!this.#fits(waiter.bytes)) return
        this.#waiting.delete(waiter)
        this.#late.remove(waiter)
        this.#take(waiter.bytes)
        waiter.done(undefined)
      }
    } finally {
      this.#admitting = false
    }
  }

  #refuse(waiter: Waiter, error: KvError): void {
    if (!this.#waiting.delete(waiter)) return
    this.#late.remove(waiter)
    waiter.done(error)
    // It may have been the one too large to let the others in.
    this.#admit()
  }
}

class Waiter implements WakeEntry {
  wakeAt = 0
  wakeIndex = -1

  constructor(
    readonly bytes: number,
    readonly done: (error: KvError | undefined) => void,
  ) {}
}
