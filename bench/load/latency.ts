// Latencies, in a histogram of node:perf_hooks, which is HdrHistogram: 25 ns a record, whole microseconds.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

const US_PER_MS = 1000

export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram()

  recordMs(ms: number): void {
    this.recordUs(ms * US_PER_MS)
  }

  recordUs(us: number): void {
    this.#histogram.record(Math.max(1, Math.round(us)))
  }

  add(other: Latency): void {
    this.#histogram.add(other.#histogram)
  }

  get count(): number {
    return this.#histogram.count
  }

  /** In ms. 0 when nothing was recorded. */
  percentile(percent: number): number {
    return this.count === 0 ? 0 : this.#histogram.percentile(percent) / US_PER_MS
  }

  get maxMs(): number {
    return this.count === 0 ? 0 : this.#histogram.max / US_PER_MS
  }
}
