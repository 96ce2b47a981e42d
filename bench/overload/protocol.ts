// What `bench overload` and its driver processes say to each other.

export interface Load {
  readonly address: string
  /** `batch`: messages of puts on Batch streams. `unary`: puts by the compat service, one operation a call. */
  readonly kind: 'batch' | 'unary'
  /** Streams, or concurrent calls, of this driver. */
  readonly streams: number
  /** Puts in a message. */
  readonly operations: number
  readonly valueBytes: number
  /** Operations to offer a second, answered or not. Undefined: a message (a call) follows the answer to the one before. */
  readonly perSecond?: number
  readonly seconds: number
  /** Names the keys. */
  readonly prefix: string
}

export interface Tally {
  /** Operations by the schedule, and those of them that the transport took. */
  readonly offered: number
  readonly written: number
  readonly acknowledged: number
  readonly overloaded: number
  /** Anything else, and the first of it in words. */
  readonly other: number
  readonly firstOther: string
  /** Of messages (calls): from when the transport was given it to its answer, us. */
  readonly acknowledgedUs: Uint32Array
  readonly overloadedUs: Uint32Array
  /** CPU time of the driver, s. */
  readonly cpu: number
  /** Some of the keys that were acknowledged. */
  readonly sample: readonly string[]
}
