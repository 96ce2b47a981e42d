// Calls at a fixed rate, whether or not the earlier ones are answered: who waits is not spared the next call.

const EVERY_MS = 2

/** Begins on construction; whoever makes one stops it. */
export class OpenLoop {
  readonly #timer: NodeJS.Timeout
  readonly #flights = new Set<Promise<void>>()
  readonly #began = performance.now()
  #sent = 0

  /** `call` has its number, and when it was due by `performance.now()`, from which its time counts. It does not reject. */
  constructor(
    private readonly perSecond: number,
    private readonly call: (number: number, dueAt: number) => Promise<void>,
  ) {
    this.#timer = setInterval(() => this.#turn(), EVERY_MS)
  }

  /** Of the first call, by `performance.now()`. */
  get began(): number {
    return this.#began
  }

  /** When the last call is answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#flights)
  }

  #turn(): void {
    const due = ((performance.now() - this.#began) / 1_000) * this.perSecond
    for (; this.#sent < due; this.#sent++) {
      const flight = this.call(this.#sent, this.#began + (this.#sent / this.perSecond) * 1_000)
      this.#flights.add(flight)
      void flight.finally(() => this.#flights.delete(flight))
    }
  }
}
