import type { Code } from './codes.js'
import { KvError, type KvErrorDetails } from './kv-error.js'

// One class per code, so that a caller can write `catch (error) { if (error instanceof OverloadedError) ... }`.

function subclass(code: Code, name: string) {
  return class extends KvError {
    override name = name
    constructor(message: string, details: KvErrorDetails) {
      super(code, message, details)
    }
  }
}

/** The request is malformed. */
export class InvalidArgumentError extends subclass('INVALID_ARGUMENT', 'InvalidArgumentError') {}
/** What was asked makes no sense, and nothing was done. */
export function invalidArgument(message: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(message, { outcome: 'not-applied', cause })
}
/** A key, value or message is over its limit. */
export class TooLargeError extends subclass('TOO_LARGE', 'TooLargeError') {}
/** The node does not lead the shard. */
export class NotLeaderError extends subclass('NOT_LEADER', 'NotLeaderError') {}
/** The shard does not own the key's partition. */
export class WrongShardError extends subclass('WRONG_SHARD', 'WrongShardError') {}
/** The key's partition is being moved. */
export class MovingError extends subclass('MOVING', 'MovingError') {}
/** A bounded queue is full. */
export class OverloadedError extends subclass('OVERLOADED', 'OverloadedError') {}
/** The operation's deadline passed. */
export class DeadlineExceededError extends subclass('DEADLINE_EXCEEDED', 'DeadlineExceededError') {}
/** No node could be reached, the connection broke, or the shard has no leader now. */
export class UnavailableError extends subclass('UNAVAILABLE', 'UnavailableError') {}
/** A condition did not hold; `version` says what the key's version is. */
export class PreconditionFailedError extends subclass('PRECONDITION_FAILED', 'PreconditionFailedError') {}
/** Stored bytes failed their checksum. */
export class CorruptError extends subclass('CORRUPT', 'CorruptError') {}
/** The peer belongs to another cluster, shard or node. */
export class WrongPeerError extends subclass('WRONG_PEER', 'WrongPeerError') {}
/** The peer does not know this format or operation. */
export class UnsupportedError extends subclass('UNSUPPORTED', 'UnsupportedError') {}
/** The caller gave up. */
export class CancelledError extends subclass('CANCELLED', 'CancelledError') {}
/** Nobody knows any more whether the session's write was applied. */
export class SessionExpiredError extends subclass('SESSION_EXPIRED', 'SessionExpiredError') {}
/** The key's value is no number to add to; `version` says which value that is. */
export class NotANumberError extends subclass('NOT_A_NUMBER', 'NotANumberError') {}
/** The sum would be no int64; `version` is that of the value that stays. */
export class OverflowError extends subclass('OVERFLOW', 'OverflowError') {}
/** The keys of a transaction are in more than one partition: a hash tag that all of them have puts them into one. */
export class CrossShardError extends subclass('CROSS_SHARD', 'CrossShardError') {}
/** The changes that a watch asks for are not kept any more: scan, then watch from its `token`. */
export class CompactedError extends subclass('COMPACTED', 'CompactedError') {}
/** The lease was never granted, was revoked, or has expired, in whole or in part: grant another one. */
export class LeaseNotFoundError extends subclass('LEASE_NOT_FOUND', 'LeaseNotFoundError') {}
/** A fault in Kvorum itself. */
export class InternalError extends subclass('INTERNAL', 'InternalError') {}

const CLASSES: Readonly<Record<Code, new (message: string, details: KvErrorDetails) => KvError>> = {
  INVALID_ARGUMENT: InvalidArgumentError,
  TOO_LARGE: TooLargeError,
  NOT_LEADER: NotLeaderError,
  WRONG_SHARD: WrongShardError,
  MOVING: MovingError,
  OVERLOADED: OverloadedError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  UNAVAILABLE: UnavailableError,
  PRECONDITION_FAILED: PreconditionFailedError,
  CORRUPT: CorruptError,
  WRONG_PEER: WrongPeerError,
  UNSUPPORTED: UnsupportedError,
  CANCELLED: CancelledError,
  INTERNAL: InternalError,
  NOT_A_NUMBER: NotANumberError,
  OVERFLOW: OverflowError,
  COMPACTED: CompactedError,
  LEASE_NOT_FOUND: LeaseNotFoundError,
  SESSION_EXPIRED: SessionExpiredError,
  CROSS_SHARD: CrossShardError,
}

/** Makes the error of a code that is known only at run time. */
export function kvError(code: Code, message: string, details: KvErrorDetails): KvError {
  return new CLASSES[code](message, details)
}

/** `thrown` as a KvError: itself, or INTERNAL with it as the cause and the outcome that the caller knows. */
export function toKvError(thrown: unknown, outcome: KvErrorDetails['outcome']): KvError {
  if (thrown instanceof KvError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new InternalError(`internal fault: ${message}`, { outcome, cause: thrown })
}
