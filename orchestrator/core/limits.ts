const MIB = 1 << 20

/** The limits of DESIGN section 13: each is enforced with a clear error, never silently. */
export interface Limits {
  readonly keyBytesMax: number
  readonly valueBytesMax: number
  /** Of one message of a batch, in both directions. A single operation may exceed it: it then travels alone. */
  readonly batchBytesMax: number
  readonly batchOperationsMax: number
  /** Operations that one Store or client has accepted and not answered: what they hold, and how many they are. */
  readonly inFlightBytesMax: number
  readonly inFlightOperationsMax: number
  /** The deadline of an operation for which the caller gave none. */
  readonly deadlineMs: number
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  keyBytesMax: 4096,
  valueBytesMax: MIB,
  batchBytesMax: 4 * MIB,
  batchOperationsMax: 4096,
  inFlightBytesMax: 64 * MIB,
  inFlightOperationsMax: 65_536,
  deadlineMs: 5000,
})

/** No configuration may raise valueBytesMax above this: the nodes' formats end there. */
export const VALUE_BYTES_TOP = 8 * MIB

/**
 * No configuration may raise batchOperationsMax above this, and a message of more ends its stream: to refuse each of its
 * operations would itself be megabytes.
 */
export const BATCH_OPERATIONS_TOP = 16_384

/**
 * What gRPC lets through in one message, both ways. Greater than any message that the limits above allow: a batch that
 * is just below batchBytesMax and then takes one more value of VALUE_BYTES_TOP.
 */
export const GRPC_MESSAGE_BYTES_MAX = 16 * MIB

/** The longest deadline that is taken; timers and the wire's uint32 of ms hold it. */
export const DEADLINE_MS_MAX = 24 * 60 * 60 * 1000
