// Throughput and latency over a whole run, in a number of buckets that stays bounded: when there are too many, two
// neighbours become one.

const BUCKETS_MAX = 1_200

export interface Bucket {
  readonly good: number
  readonly failed: number
  /** Of the good ones; the greatest of the p99s of what was put together. */
  readonly p50Ms: number
  readonly p99Ms: number
}

interface Open {
  good: number
  failed: number
  latencies: number[]
}

export class Timeline {
  readonly #startMs: number
  readonly #closed: Bucket[] = []
  #widthMs: number
  #open: Open = fresh()

  constructor(startMs: number, widthMs = 250) {
    this.#startMs = startMs
    this.#widthMs = widthMs
  }

  get startMs(): number {
    return this.#startMs
  }

  get widthMs(): number {
    return this.#widthMs
  }

  get buckets(): readonly Bucket[] {
    return this.#closed
  }

  readonly took = (atMs: number, latencyMs: number, good: boolean): void => {
    this.advance(atMs)
    if (good) {
      this.#open.good++
      this.#open.latencies.push(latencyMs)
    } else {
      this.#open.failed++
    }
  }

  /** Closes the buckets that are over. */
  advance(nowMs: number): void {
    while (nowMs >= this.#startMs + (this.#closed.length + 1) * this.#widthMs) {
      this.#closed.push(closed(this.#open))
      this.#open = fresh()
      if (this.#closed.length >= BUCKETS_MAX) this.#halve()
    }
  }

  /** Operations a second, of late. */
  rate(): number {
    const late = this.#closed.slice(-4)
    const good = late.reduce((sum, bucket) => sum + bucket.good, 0)
    return late.length === 0 ? 0 : (good * 1000) / (late.length * this.#widthMs)
  }

  #halve(): void {
    const halved: Bucket[] = []
    for (let at = 0; at + 1 < this.#closed.length; at += 2) {
      const [a, b] = [this.#closed[at], this.#closed[at + 1]]
      if (a !== undefined && b !== undefined) halved.push(joined(a, b))
    }
    this.#closed.splice(0, this.#closed.length, ...halved)
    this.#widthMs *= 2
  }
}

function fresh(): Open {
  return { good: 0, failed: 0, latencies: [] }
}

function closed({ good, failed, latencies }: Open): Bucket {
  const sorted = latencies.sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { good, failed, p50Ms: at(0.5), p99Ms: at(0.99) }
}

function joined(a: Bucket, b: Bucket): Bucket {
  const good = a.good + b.good
  const p50Ms = good === 0 ? 0 : (a.p50Ms * a.good + b.p50Ms * b.good) / good
  return { good, failed: a.failed + b.failed, p50Ms, p99Ms: Math.max(a.p99Ms, b.p99Ms) }
}
