import { STATUS_CODES } from 'node:http'
import { CODES, type Code, type KvError, type Outcome, toKvError } from '../errors/index.js'

/** The one table: the status of a request that failed with a code of errors.proto. */
export const STATUS: Readonly<Record<Code, number>> = {
  INVALID_ARGUMENT: 400,
  TOO_LARGE: 413,
  // The Store follows leaders and partitions by itself; what is left of these three at its end is a shard that was not ready.
  NOT_LEADER: 503,
  WRONG_SHARD: 503,
  MOVING: 503,
  OVERLOADED: 429,
  DEADLINE_EXCEEDED: 408,
  UNAVAILABLE: 503,
  // A condition in a header is 412 (conditions.ts): HTTP says so.
  PRECONDITION_FAILED: 409,
  // What the value is now stands in the way, as with a condition.
  NOT_A_NUMBER: 409,
  OVERFLOW: 409,
  CROSS_SHARD: 400,
  COMPACTED: 410,
  LEASE_NOT_FOUND: 404,
  CORRUPT: 500,
  WRONG_PEER: 502,
  UNSUPPORTED: 501,
  // By the gateway, which ends; a client that has gone is told nothing.
  CANCELLED: 503,
  INTERNAL: 500,
  // The session is the gateway's own: no fault of the client's, and nothing that it could do better.
  SESSION_EXPIRED: 500,
}

/** What HTTP itself may find wrong, before anything is asked of the Store. As stable as the codes of errors.proto. */
export const HTTP_CODES = [
  'KEY_ABSENT',
  'NO_SUCH_PATH',
  'NO_SUCH_OPERATION',
  'METHOD_NOT_ALLOWED',
  'CONDITION_FAILED',
  'KEY_TOO_LONG',
  'UNSUPPORTED_MEDIA_TYPE',
  'NOT_ACCEPTABLE',
  'WRONG_HOST',
  'HEADERS_TOO_LARGE',
  'REQUEST_TIMEOUT',
  'BAD_REQUEST',
] as const

export type HttpCode = (typeof HTTP_CODES)[number]

/** A request that HTTP refuses. It never reached the Store, or the Store answered it and changed nothing. */
export class HttpRefusal extends Error {
  override name = 'HttpRefusal'
  constructor(
    readonly status: number,
    readonly code: HttpCode,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message)
  }
}

export const PROBLEM_TYPE = 'application/problem+json'

/** RFC 9457, and what a program needs to know to go on. */
export interface Problem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: Code | HttpCode
  readonly outcome: Outcome
  readonly retryable: boolean
  readonly advice: string
  readonly retry_after_ms?: number
  readonly shard?: number
  readonly version?: string
  readonly operation?: number
}

/** What is told of anything that was thrown. A `write` that failed in an unforeseen way may have been applied. */
export function problemOf(thrown: unknown, write: boolean): Problem {
  if (thrown instanceof HttpRefusal) return refused(thrown)
  return failed(toKvError(thrown, write ? 'unknown' : 'not-applied'))
}

function refused({ status, code, message }: HttpRefusal): Problem {
  return {
    ...heading(status, message),
    code,
    outcome: 'not-applied',
    retryable: code === 'REQUEST_TIMEOUT',
    advice: HTTP_ADVICE[code],
  }
}

function failed(error: KvError): Problem {
  const { code, outcome, retryable, retryAfterMs, shard, version, operation } = error
  return {
    ...heading(STATUS[code], error.message),
    code,
    outcome,
    retryable,
    advice: adviceFor(error),
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    ...(shard === undefined ? {} : { shard }),
    ...(version === undefined ? {} : { version: String(version) }),
    ...(operation === undefined ? {} : { operation }),
  }
}

function heading(status: number, detail: string): Pick<Problem, 'type' | 'title' | 'status' | 'detail'> {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Failed', status, detail }
}

const HTTP_ADVICE: Readonly<Record<HttpCode, string>> = {
  KEY_ABSENT: 'The key has no value: PUT one.',
  NO_SUCH_PATH: 'GET /v1/openapi.json lists every path; a slash inside a key is written %2F.',
  NO_SUCH_OPERATION: 'GET /v1/operations lists those that are under way, and the last ones.',
  METHOD_NOT_ALLOWED: 'The Allow header lists the methods of this path.',
  CONDITION_FAILED: 'GET the key, decide anew, and send the ETag that the answer had.',
  KEY_TOO_LONG: 'Use a shorter key.',
  UNSUPPORTED_MEDIA_TYPE: 'Send Content-Type: application/json, or application/octet-stream for a value as it is.',
  NOT_ACCEPTABLE: 'Send Accept: text/event-stream, or none.',
  WRONG_HOST: 'Address the gateway as localhost or by its IP address.',
  HEADERS_TOO_LARGE: 'Send less: a key and a few headers fit.',
  REQUEST_TIMEOUT: 'Send the request again, faster.',
  BAD_REQUEST: 'Mend the client: this is not HTTP/1.1.',
}

/** What the key is now does not go together with what was asked. */
const OF_THE_KEY: ReadonlySet<Code> = new Set(['PRECONDITION_FAILED', 'NOT_A_NUMBER', 'OVERFLOW'])

/** It can succeed as another request only. */
const MALFORMED: ReadonlySet<Code> = new Set(['INVALID_ARGUMENT', 'TOO_LARGE', 'CROSS_SHARD'])

function adviceFor({ code, outcome, retryable }: KvError): string {
  if (outcome === 'applied') return 'It was applied, and only the answer was lost: do not send it again.'
  if (outcome === 'unknown') return 'It may have been applied: GET the key before you write again.'
  if (OF_THE_KEY.has(code)) return 'Nothing was changed: GET the key and decide anew.'
  if (code === 'DEADLINE_EXCEEDED') return 'Nothing was changed: send it again, with a longer timeout_ms.'
  if (code === 'CANCELLED') return 'Nothing was changed: send it again, to another gateway if there is one.'
  if (MALFORMED.has(code)) return 'Nothing was changed: mend the request.'
  if (retryable) return 'Nothing was changed: send it again after a moment.'
  return 'Nothing was changed, and sending it again cannot help: look at the logs of the cluster.'
}

/** Headers that go with a problem. Retry-After knows whole seconds only: `retry_after_ms` is the exact word. */
export function headersOf(thrown: unknown, problem: Problem): Readonly<Record<string, string>> {
  if (thrown instanceof HttpRefusal) return thrown.headers
  if (problem.status !== 429 && problem.retry_after_ms === undefined) return {}
  return { 'Retry-After': String(Math.max(1, Math.ceil((problem.retry_after_ms ?? 0) / 1000))) }
}

/** Every code that a problem may carry. */
export const PROBLEM_CODES: readonly string[] = [...Object.keys(CODES), ...HTTP_CODES]
