import type { Result } from './gen/kvorum/v1/kv.js'

/**
 * How many reads to put into one message. The answers of one message come in one message, and their size is not known
 * before: so it follows the sizes seen. The server has its own limit and refuses what goes over it (OVERLOADED); this
 * keeps that from being the rule.
 */
export class ReadSizer {
  #bytesPerRead = FIRST_GUESS_BYTES

  constructor(
    private readonly batchBytesMax: number,
    private readonly operationsMax: number,
  ) {}

  get operationsPerMessage(): number {
    // Half of what fits: an average says little about the next message.
    const fitting = Math.floor(this.batchBytesMax / 2 / this.#bytesPerRead)
    return Math.max(1, Math.min(this.operationsMax, fitting))
  }

  /**
   * Larger sizes count at once, smaller ones by and by. `asked` is how many reads the message had: a part of an answer
   * counts for a part.
   */
  saw(results: readonly Result[], asked = results.length): void {
    let reads = 0
    let bytes = 0
    for (const { kind } of results) {
      // What was refused, perhaps for its size, says nothing about sizes.
      if (kind?.$case !== 'get') continue
      reads++
      bytes += kind.value.value.length
    }
    if (reads === 0) return
    const seen = bytes / reads + ENVELOPE_BYTES
    const weight = ((1 - DECAY) * results.length) / asked
    this.#bytesPerRead = Math.max(seen, this.#bytesPerRead * (1 - weight) + seen * weight)
  }

  /** The connection broke while reads were in flight: perhaps their answer was too large to receive. */
  broke(): void {
    this.#bytesPerRead = Math.min(this.batchBytesMax, this.#bytesPerRead * 4)
  }
}

const FIRST_GUESS_BYTES = 16 << 10
const ENVELOPE_BYTES = 32
const DECAY = 0.8
