import { sleep } from '../../core/clock.js'
import type { Entry } from '../../core/operation.js'
import { keyBehind, type Range, rangeOf } from '../../core/range.js'
import { KvError, toKvError } from '../../errors/index.js'
import type { DeletePrefixRecord } from './delete-record.js'
import type { KeyStore, OperationTools } from './kind.js'
import type { UnderWay } from './under-way.js'

/** Keys between two notes in the journal, which bounds what those cost meta. */
const STRETCH_KEYS = 8_192
/** Deletes that are on their way at once: what others may ever have to wait behind. */
const BATCH_KEYS = 256
/** The rest after a batch, times what it took: the busier the cluster is, the more of it is left to others. */
const REST_TIMES = 1
const REST_MS_MAX = 1_000
/** For a stretch to be read, or a key to be deleted. */
const STEP_MS = 10_000
/** How old a note may be when a batch is sent. Who stood still for longer may have been replaced, and the operation cancelled. */
const NOTE_MS = 1_000
/** Past this it goes on without knowing how many there are. */
const COUNT_MS = 30_000

const NOTHING = new Uint8Array()

/**
 * One walk over the keys with a prefix, in their order: a stretch is read, then the journal is written, then its keys are
 * deleted, each if it has still the version that was read.
 *
 * Why no write that was acknowledged after the operation has ended is ever deleted, whoever stands still for however long: the note
 * between reading and deleting succeeds only while no later orchestrator has taken over (fence.ts), so that the operation had
 * not ended when the stretch was read; and a version is never used twice. Deletes that come late name versions that are gone.
 * Of one that was cancelled the versions are still there: so who stood still in the middle of a stretch notes again before he goes on,
 * and what comes late is the batch that was on its way.
 */
export class Deletion {
  readonly #prefix: Uint8Array
  /** The last key that was seen to. Ahead of the one that is written down. */
  #cursor: Uint8Array | undefined
  #deleted: number
  #passed: number
  /** Steps that failed, one after the other. */
  #failures = 0
  /** Monotonic: when the latest note was sent, which every stretch begins with. */
  #notedAt = Number.POSITIVE_INFINITY

  constructor(
    private readonly underWay: UnderWay<DeletePrefixRecord>,
    private readonly keys: KeyStore,
    private readonly tools: Pick<OperationTools, 'clock' | 'telemetry' | 'doing' | 'walked'>,
  ) {
    const { prefix, cursor, deleted, passed } = underWay.now
    this.#prefix = Buffer.from(prefix, 'base64')
    this.#cursor = cursor === undefined ? undefined : Buffer.from(cursor, 'base64')
    this.#deleted = deleted
    this.#passed = passed
  }

  /** Whether it has come to the end; else a person wants something else. Rejects when the journal cannot be written. */
  async run(): Promise<boolean> {
    await this.#count()
    let isLeft = true
    while (isLeft && !this.underWay.isSteered) isLeft = await this.#stretch()
    await this.#note()
    return !isLeft
  }

  /** For people: nothing depends on it. */
  async #count(): Promise<void> {
    if (this.underWay.now.total !== undefined) return
    this.tools.doing('counting the keys')
    const options = { deadlineMs: COUNT_MS, signal: this.underWay.either }
    const counted = await this.keys.count(this.#rest, options).catch(() => null)
    this.underWay.signal.throwIfAborted()
    const total = counted === null ? null : this.#deleted + this.#passed + counted
    await this.underWay.updateUnlessSteered((now) => ({ ...now, total }))
    this.tools.doing('')
  }

  /** Sees to the next keys. False when there are none left. */
  async #stretch(): Promise<boolean> {
    const query = { range: this.#rest, reverse: false, keysOnly: true }
    const options = { deadlineMs: STEP_MS, signal: this.underWay.either }
    const page = await this.#attempt(() => this.keys.scan(query, STRETCH_KEYS, options))
    if (page === undefined) return true
    if (page.entries.length === 0) return false
    await this.#note()
    for (let at = 0; at < page.entries.length; at += BATCH_KEYS) {
      if (this.tools.clock.monotonic() - this.#notedAt > NOTE_MS) await this.#note()
      if (this.underWay.isSteered) return true
      const batch = page.entries.slice(at, at + BATCH_KEYS)
      if ((await this.#attempt(() => this.#delete(batch))) === undefined) return true
    }
    return page.cursor !== undefined
  }

  /** Deletes these keys, and then rests. Rejects when it is not known of each of them that it is seen to. */
  async #delete(batch: readonly Entry[]): Promise<true> {
    const { clock, walked } = this.tools
    const began = clock.monotonic()
    const answers = await Promise.allSettled(
      batch.map(({ key, version }) => this.keys.delete(key, { ifVersion: version, deadlineMs: STEP_MS })),
    )
    const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []))
    const trouble = failures.find((failure) => !isPassed(failure))
    this.#deleted += answers.length - failures.length
    if (trouble !== undefined) throw toKvError(trouble, 'unknown')
    // A copy: the key is a view into a whole page.
    this.#cursor = Uint8Array.from((batch.at(-1) as Entry).key)
    this.#passed += failures.length
    walked({ deleted: this.#deleted, passed: this.#passed })
    const restMs = Math.min(REST_MS_MAX, REST_TIMES * (clock.monotonic() - began))
    await this.underWay.unlessRecalled((signal) => sleep(clock, restMs, signal))
    return true
  }

  /** undefined: it failed, as it does when shards have no leader, and is to be tried again from the cursor on. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work()
      if (this.#failures > 0) this.tools.doing('')
      this.#failures = 0
      return result
    } catch (error) {
      this.underWay.signal.throwIfAborted()
      if (this.underWay.recalled.aborted) return undefined
      const reason = error instanceof Error ? error.message : String(error)
      this.tools.telemetry.emit('operation.stumbled', { reason })
      this.tools.doing(`tried again: ${reason}`)
      await this.underWay.restAfter(++this.#failures)
      return undefined
    }
  }

  /** Writes down how far it is. Fails when another orchestrator has taken over. */
  async #note(): Promise<void> {
    const cursor = this.#cursor && Buffer.from(this.#cursor).toString('base64')
    const [deleted, passed] = [this.#deleted, this.#passed]
    const sentAt = this.tools.clock.monotonic()
    await this.underWay.update((now) => ({ ...now, cursor, deleted, passed }))
    this.#notedAt = sentAt
  }

  get #rest(): Range {
    return rangeOf(this.#prefix, this.#cursor === undefined ? NOTHING : keyBehind(this.#cursor), NOTHING)
  }
}

/** Whether somebody else has written the key, or deleted it, since it was read. */
function isPassed(failure: unknown): boolean {
  return failure instanceof KvError && failure.code === 'PRECONDITION_FAILED'
}
