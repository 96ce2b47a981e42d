import type { Entry, PageResult } from '../../core/operation.js'
import { isEmptyRange, keyBehind, type Range, type ScanQuery } from '../../core/range.js'
import type { ClusterMap } from '../../core/topology.js'
import { type KvError, toKvError } from '../../errors/index.js'
import {
  ALL_PARTITIONS,
  type Ask,
  byOwner,
  isWrongShard,
  MapChanges,
  type PageSource,
  type Patience,
  readPage,
} from './pages.js'

export interface MergeOptions {
  readonly from: PageSource
  readonly query: ScanQuery
  /** Keys at most. */
  readonly limit: number
  /** Of the pages that are held at once, about. */
  readonly bytesMax: number
  /** Whether pages are asked for before they are needed: one of each shard. */
  readonly ahead: boolean
  /** Aborted when nobody wants more. */
  readonly signal: AbortSignal
  /** Of a page that is asked for ahead. */
  readonly deadlineMs: number
}

const PAGE_BYTES_MIN = 16 << 10
const PAGE_BYTES_TOP = 256 << 10
/** Keys that are given at once: between two such runs others have their turn. */
const RUN_MAX = 1024

/**
 * Keys of the whole store in their order, merged from pages of its shards.
 *
 * Invariant: the sources have all 1,024 partitions between them, each partition once, and each source has covered its own
 * up to a key of its own. A key is given when every source is past it. So what is there during the whole scan is given once,
 * wherever it was when its page was read. When partitions turn out to have moved, all sources are made anew by a newer map,
 * from the least key that any of them has not given: what lies before it was given by whoever had it then.
 */
export class Merge {
  readonly #options: MergeOptions
  readonly #changes: MapChanges
  #map: ClusterMap
  /** Those that have a key to give, the next one first. */
  #ready: Source[] = []
  /** Those whose next page has to be read before any key is given. */
  #starved: Source[] = []
  #given = 0

  constructor(options: MergeOptions) {
    this.#options = options
    this.#changes = new MapChanges(options.from)
    this.#map = options.from.maps.current()
    this.#begin(options.query.range)
  }

  /** The next keys, at least one; none when there are no more. Rejects with a KvError. */
  async next(patience: Patience): Promise<Entry[]> {
    const run: Entry[] = []
    while (run.length === 0 && this.#left > 0 && this.#ready.length + this.#starved.length > 0) {
      if (this.#starved.length > 0) await this.#feed(patience)
      this.#take(run)
    }
    return run
  }

  get #left(): number {
    return this.#options.limit - this.#given
  }

  #begin(range: Range): void {
    this.#ready = []
    this.#starved = []
    if (isEmptyRange(range)) return
    const owners = byOwner(this.#map, ALL_PARTITIONS)
    const share = Math.floor(this.#options.bytesMax / owners.size)
    const bytesMax = Math.max(PAGE_BYTES_MIN, Math.min(PAGE_BYTES_TOP, share))
    const { reverse, keysOnly } = this.#options.query
    const content = keysOnly ? 'keys' : 'entries'
    for (const [shard, partitions] of owners) {
      this.#starved.push(new Source({ shard, partitions, range, reverse, content, limit: 0, bytesMax }))
    }
  }

  /** Reads the pages that are needed, of all shards at once. */
  async #feed(patience: Patience): Promise<void> {
    const starved = this.#starved
    const answers = await Promise.allSettled(starved.map((source) => this.#pageOf(source, patience)))
    const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []))
    const wrong = failures.find(isWrongShard)
    const other = failures.find((failure) => !isWrongShard(failure))
    if (other !== undefined) {
      // What did come is not lost: whoever tries again goes on from here.
      this.#starved = []
      for (const [at, source] of starved.entries()) {
        if (!this.#install(source, answers[at])) this.#starved.push(source)
      }
      throw toKvError(other, 'not-applied')
    }
    if (wrong !== undefined) {
      await this.#rebuild(wrong, patience)
      return
    }
    this.#changes.explained()
    this.#starved = []
    for (const [at, source] of starved.entries()) this.#install(source, answers[at])
  }

  async #pageOf(source: Source, patience: Patience): Promise<PageResult> {
    const { ahead } = source
    source.ahead = undefined
    // One that failed ahead had less time than there is now.
    const early = await ahead?.catch((error: unknown) => (isWrongShard(error) ? Promise.reject(error) : undefined))
    return early ?? readPage(this.#options.from, this.#askOf(source), patience)
  }

  #askOf({ ask }: Source): Ask {
    // What is left is bounded by what fits into a uint32.
    return { ...ask, limit: this.#left < 2 ** 32 ? this.#left : 0 }
  }

  /** Takes a page; says whether there was one. */
  #install(source: Source, answer: PromiseSettledResult<PageResult> | undefined): boolean {
    if (answer?.status !== 'fulfilled') return false
    source.install(answer.value)
    this.#readAhead(source)
    this.#place(source)
    return true
  }

  /** From the second page on: who takes a few keys and leaves has caused no more than that. */
  #readAhead(source: Source): void {
    const { from, ahead, signal, deadlineMs } = this.#options
    if (!ahead || source.done || source.pages < 2 || source.held >= this.#left) return
    const until = from.clock.monotonic() + deadlineMs
    source.ahead = readPage(from, this.#askOf(source), { until, signal })
    // Whoever needs the page hears of it.
    source.ahead.catch(() => {})
  }

  /** Puts a source where its next key belongs. */
  #place(source: Source): void {
    const { head } = source
    if (head === undefined) {
      if (!source.done) this.#starved.push(source)
      return
    }
    let [low, high] = [0, this.#ready.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBefore((this.#ready[middle] as Source).head as Entry, head)) low = middle + 1
      else high = middle
    }
    this.#ready.splice(low, 0, source)
  }

  #isBefore(one: Entry, other: Entry): boolean {
    const order = Buffer.compare(one.key, other.key)
    return this.#options.query.reverse ? order > 0 : order < 0
  }

  /** Gives keys for as long as every source that may have another one shows it. */
  #take(run: Entry[]): void {
    while (this.#starved.length === 0 && run.length < RUN_MAX && this.#left > 0) {
      const first = this.#ready[0]
      if (first === undefined) return
      run.push(first.head as Entry)
      this.#given++
      first.advance()
      const { head } = first
      const second = this.#ready[1]?.head
      if (head !== undefined && (second === undefined || this.#isBefore(head, second))) continue
      this.#ready.shift()
      this.#place(first)
    }
  }

  async #rebuild(wrong: KvError, patience: Patience): Promise<void> {
    const rest = this.#rest()
    await this.#changes.after(this.#map, wrong, patience)
    this.#map = this.#options.from.maps.current()
    this.#begin(rest)
  }

  /** What of the range is not given yet, by any source. */
  #rest(): Range {
    const { range, reverse } = this.#options.query
    const fronts = [...this.#ready, ...this.#starved].map((source) => source.front)
    if (reverse) return { from: range.from, to: fronts.reduce((one, other) => later(one, other)) }
    return { from: fronts.reduce((one, other) => earlier(one, other)), to: range.to }
  }
}

function earlier(one: Uint8Array, other: Uint8Array): Uint8Array {
  return Buffer.compare(one, other) <= 0 ? one : other
}

/** Of two ends: an empty one is open. */
function later(one: Uint8Array, other: Uint8Array): Uint8Array {
  if (one.length === 0 || other.length === 0) return new Uint8Array()
  return Buffer.compare(one, other) >= 0 ? one : other
}

/** Some partitions of one shard, how far they are covered, and what of it is not given yet. */
class Source {
  ask: Ask
  ahead: Promise<PageResult> | undefined
  pages = 0
  #entries: readonly Entry[] = []
  #at = 0
  #done = false

  constructor(ask: Ask) {
    this.ask = ask
  }

  get head(): Entry | undefined {
    return this.#entries[this.#at]
  }

  get held(): number {
    return this.#entries.length - this.#at
  }

  /** Nothing is left behind what is held. */
  get done(): boolean {
    return this.#done
  }

  /** From where it has not given: the first key of that, or in reverse the end of it. */
  get front(): Uint8Array {
    const { range, reverse } = this.ask
    if (reverse) return this.head === undefined ? range.to : keyBehind(this.head.key)
    return this.head?.key ?? range.from
  }

  advance(): void {
    this.#at++
  }

  install({ entries, next }: PageResult): void {
    this.#entries = entries
    this.#at = 0
    this.pages++
    if (next === undefined) this.#done = true
    else this.ask = { ...this.ask, range: withFront(this.ask, next) }
  }
}

function withFront({ range, reverse }: Ask, front: Uint8Array): Range {
  return reverse ? { from: range.from, to: front } : { from: front, to: range.to }
}
