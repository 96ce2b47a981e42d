import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js'
import { opaqueFromText, opaqueToText } from '../core/opaque.js'
import {
  CODES,
  type Code,
  type KvError,
  kvError,
  OUTCOMES,
  type Outcome,
  OverloadedError,
  WrongPeerError,
} from '../errors/index.js'
import { type ErrorCode, Error as WireError, type Outcome as WireOutcome } from './gen/errors.js'
import { asBuffer } from './methods.js'
import { plainWords } from './plain-words.js'

/** Where a unary call carries the whole error. */
const TRAILER = 'kvorum-error-bin'

const CODE_BY_NUMBER = new Map<number, Code>(Object.entries(CODES).map(([code, { number }]) => [number, code as Code]))
const OUTCOME_BY_NUMBER = new Map<number, Outcome>(
  Object.entries(OUTCOMES).map(([outcome, number]) => [number, outcome as Outcome]),
)

/** Which say the key's version, 0 included. */
const TELL_VERSION: ReadonlySet<Code> = new Set(['PRECONDITION_FAILED', 'NOT_A_NUMBER', 'OVERFLOW'])

export function errorToWire(error: KvError): WireError {
  return {
    code: CODES[error.code].number as ErrorCode,
    outcome: OUTCOMES[error.outcome] as WireOutcome,
    message: error.message,
    retryAfterMs: error.retryAfterMs ?? 0,
    shard: error.shard ?? 0,
    nodeId: error.node ?? '',
    leader: error.leader === undefined ? undefined : { ...error.leader },
    epoch: error.epoch ?? 0n,
    version: error.version ?? 0n,
    operation: error.operation ?? 0,
    token: opaqueFromText(error.token ?? ''),
  }
}

/**
 * A code that a newer peer invented is INTERNAL here. A read's outcome is `not-applied` whatever the peer says; a write's
 * that the peer left out is `unknown`.
 */
export function errorFromWire(error: WireError, read: boolean): KvError {
  const code = CODE_BY_NUMBER.get(error.code)
  return kvError(code ?? 'INTERNAL', code === undefined ? `error ${error.code}: ${error.message}` : error.message, {
    outcome: read ? 'not-applied' : (OUTCOME_BY_NUMBER.get(error.outcome) ?? 'unknown'),
    retryAfterMs: error.retryAfterMs === 0 ? undefined : error.retryAfterMs,
    shard: error.shard === 0 ? undefined : error.shard,
    node: error.nodeId === '' ? undefined : error.nodeId,
    leader: error.leader,
    epoch: error.epoch === 0n ? undefined : error.epoch,
    version: code !== undefined && TELL_VERSION.has(code) ? error.version : undefined,
    operation: error.operation === 0 ? undefined : error.operation,
    token: error.token.length === 0 ? undefined : opaqueToText(error.token),
  })
}

/** What was asked, by the call that failed. */
export interface Asked {
  readonly read: boolean
  readonly address: string
  /** How long it could take; undefined when it had no deadline. */
  readonly deadlineMs?: number
}

/** What a call that failed tells its caller. gRPC's own words are in the cause. */
export function errorFromStatus(failure: ServiceError, { read, address, deadlineMs }: Asked): KvError {
  const told = errorInTrailer(failure, read)
  if (told !== undefined) return told
  return kvError(codeOfStatus(failure.code), plainWords(failure, address, deadlineMs), {
    outcome: read ? 'not-applied' : 'unknown',
    cause: failure,
  })
}

/**
 * The refusal of a peer that has done nothing of what it was sent: it is somebody else, or has no room for one more stream.
 * Undefined unless the peer itself says so; what gRPC says on its own is no proof of anything.
 */
export function refusalOf(failure: ServiceError): WrongPeerError | OverloadedError | undefined {
  const error = errorInTrailer(failure, false)
  const refused = error instanceof WrongPeerError || error instanceof OverloadedError
  return refused && error.outcome === 'not-applied' ? error : undefined
}

function errorInTrailer(failure: ServiceError, read: boolean): KvError | undefined {
  const trailer = failure.metadata?.get(TRAILER)[0]
  if (trailer === undefined || typeof trailer === 'string') return undefined
  return errorFromWire(WireError.decode(trailer), read)
}

/** How a server ends a unary call that failed. */
export function statusOf(error: KvError): Partial<StatusObject> {
  const metadata = new Metadata()
  metadata.set(TRAILER, asBuffer(WireError.encode(errorToWire(error)).finish()))
  return { code: CODES[error.code].grpcStatus, details: error.message, metadata }
}

/** For a failure that carries no error of ours: gRPC's own, or another server's. */
function codeOfStatus(code: status): Code {
  switch (code) {
    case status.UNAVAILABLE:
      return 'UNAVAILABLE'
    case status.DEADLINE_EXCEEDED:
      return 'DEADLINE_EXCEEDED'
    case status.CANCELLED:
      return 'CANCELLED'
    case status.UNIMPLEMENTED:
      return 'UNSUPPORTED'
    case status.RESOURCE_EXHAUSTED:
      return 'OVERLOADED'
    case status.INVALID_ARGUMENT:
      return 'INVALID_ARGUMENT'
    default:
      return 'INTERNAL'
  }
}
