import type { Tally } from './protocol.js'

const LATENCIES_MAX = 100_000
const SAMPLE_EVERY = 50
const SAMPLE_MAX = 200

/** Counts what became of the load. */
export class Counter {
  offered = 0
  written = 0
  #acknowledged = 0
  #overloaded = 0
  #other = 0
  #firstOther = ''
  readonly #acknowledgedUs: number[] = []
  readonly #overloadedUs: number[] = []
  readonly #sample: string[] = []
  #answers = 0

  /** What one message, or call, was answered: so many operations of each kind. `key` is one of those acknowledged. */
  answered(ms: number, acknowledged: number, overloaded: number, key: () => string): void {
    this.#acknowledged += acknowledged
    this.#overloaded += overloaded
    const us = Math.round(ms * 1000)
    const list = acknowledged > 0 ? this.#acknowledgedUs : this.#overloadedUs
    if (list.length < LATENCIES_MAX) list.push(us)
    if (acknowledged > 0 && this.#answers++ % SAMPLE_EVERY === 0 && this.#sample.length < SAMPLE_MAX) {
      this.#sample.push(key())
    }
  }

  failed(operations: number, words: string): void {
    this.#other += operations
    this.#firstOther ||= words
  }

  tally(): Tally {
    const { user, system } = process.cpuUsage()
    return {
      offered: this.offered,
      written: this.written,
      acknowledged: this.#acknowledged,
      overloaded: this.#overloaded,
      other: this.#other,
      firstOther: this.#firstOther,
      acknowledgedUs: Uint32Array.from(this.#acknowledgedUs),
      overloadedUs: Uint32Array.from(this.#overloadedUs),
      cpu: (user + system) / 1e6,
      sample: this.#sample,
    }
  }
}
