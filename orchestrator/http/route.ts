import type { IncomingHttpHeaders } from 'node:http'
import type { z } from 'zod'
import type { Clock } from '../core/clock.js'
import type { Limits } from '../core/limits.js'
import type { ControlHandlers, StatusResponse } from '../wire/control.js'
import type { Answer, Streamed } from './answer.js'
import type { Hold } from './held.js'
import type { Operations } from './operations.js'
import type { Watches } from './watches.js'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** What is asked of the orchestrator about operations of the cluster. */
export type OperationControl = Pick<ControlHandlers, 'deletePrefix' | 'operations' | 'watch' | 'steer'>

/** What handlers have to work with. */
export interface Services {
  readonly operations: Operations
  readonly watches: Watches
  /** Every node as the orchestrator sees it now. */
  readonly status: () => Promise<StatusResponse>
  readonly control: OperationControl
  readonly clock: Clock
  readonly draining: () => boolean
}

/** A request that was checked. */
export interface Asked<Query, Body> {
  /** What the path names: a key, a lease or an operation; empty where it names nothing. */
  readonly key: Buffer
  readonly query: Query
  readonly headers: IncomingHttpHeaders
  readonly body: Body
  readonly signal: AbortSignal
  readonly hold: Hold
}

export interface BodyRule<Body> {
  readonly schema: z.ZodType<Body>
  /** Of the body as JSON; bytes are limited by what a value may be. */
  readonly bytesMax: (limits: Limits) => number
  /** Throws for what would take long to check; comes before the schema. */
  readonly guard?: (json: unknown, limits: Limits) => void
  /** application/octet-stream is the value itself, as this makes of it. */
  readonly fromBytes?: (bytes: Buffer) => Body
  /** See mediaTypeOf. */
  readonly lax: boolean
}

export interface HeaderNote {
  readonly name: string
  readonly description: string
  readonly pattern: string
  readonly example: string
}

export interface AnswerNote {
  readonly description: string
  readonly schema?: z.ZodType
  /** It may also be the value itself, as application/octet-stream. */
  readonly bytes?: true
  readonly etag?: true
  /** It is text/event-stream, whose data are of this schema. */
  readonly events?: true
}

/** One operation of the API, to those who serve it and to the document. */
export interface Route<Query = unknown, Body = unknown> {
  readonly id: string
  readonly method: Method
  /** The same under each of them. */
  readonly paths: readonly string[]
  readonly summary: string
  readonly query: z.ZodType<Query>
  readonly headers?: readonly HeaderNote[]
  readonly body?: BodyRule<Body>
  /** What it needs: nothing else is refused while the Store has too much to do. */
  readonly asks: 'store' | 'orchestrator' | 'nothing'
  readonly writes: boolean
  readonly answers: Readonly<Record<number, AnswerNote>>
  /** Problems that are this route's own, beside those that come of its path, its body and whom it asks. */
  readonly problems?: Readonly<Record<number, string>>
  handle(asked: Asked<Query, Body>, services: Services): Promise<Answer | Streamed> | Answer
}

/** Types check that a route's handler gets what its schemas make; whoever has many of them need not know. */
export function route<Query, Body>(one: Route<Query, Body>): Route {
  return one as unknown as Route
}
