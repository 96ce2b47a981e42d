import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import type { Clock } from '../core/clock.js'
import { invalidArgument } from '../errors/index.js'
import { type Answer, empty, type Streamed } from './answer.js'
import { expectNoBody, mediaTypeOf, parseJson, readBody } from './body.js'
import { type Held, Hold } from './held.js'
import { checkKey } from './keys.js'
import { HttpRefusal } from './problem.js'
import type { BodyRule, Route, Services } from './route.js'
import { type Match, Router } from './router.js'
import { problemAnswer, send } from './send.js'
import { sendStream } from './stream.js'
import { parseTarget, type Target } from './target.js'
import { wordsFor } from './wrong-input.js'

/** Of what a schema says is wrong. */
const DETAIL_LENGTH_MAX = 1_000

const STOPS = new Error('the gateway stops')

export interface FrontOptions {
  readonly routes: readonly Route[]
  readonly services: Services
  readonly held: Held
  readonly clock: Clock
  /** Only this machine can connect. */
  readonly loopback: boolean
}

/** What one request has. */
interface Visit {
  readonly request: IncomingMessage
  readonly hold: Hold
  readonly signal: AbortSignal
  /** The client, if it asked, may send the body. */
  readonly go: () => void
}

/** Takes each request from its head to its answer. */
export class Front {
  readonly #options: FrontOptions
  readonly #router: Router
  readonly #inProgress = new Set<AbortController>()
  /** Of those in progress, the ones that would never end by themselves. */
  readonly #streams = new Set<AbortController>()
  #streamsEnd = false

  constructor(options: FrontOptions) {
    this.#options = options
    this.#router = new Router(options.routes)
  }

  /**
   * Answers a request, and says whether that was the connection's last answer; never rejects. `asks`: whether the client waits
   * for leave to send the body.
   */
  async serve(request: IncomingMessage, response: ServerResponse, asks: boolean): Promise<boolean> {
    const hold = new Hold(this.#options.held)
    const ending = new AbortController()
    this.#inProgress.add(ending)
    response.once('close', () => {
      hold.release()
      this.#inProgress.delete(ending)
      if (!response.writableFinished) ending.abort(new Error('the client went away'))
    })
    const go = () => {
      if (asks) response.writeContinue()
    }
    const answer = await this.#answer({ request, hold, signal: ending.signal, go })
    const { clock, services } = this.#options
    if (!('rest' in answer)) return send(request, response, answer, { clock, last: services.draining() })
    this.#streams.add(ending)
    if (this.#streamsEnd) ending.abort(STOPS)
    await sendStream(request, response, answer, { clock, signal: ending.signal })
    this.#streams.delete(ending)
    return true
  }

  /** Has every stream come to its end, in order. */
  endStreams(): void {
    this.#streamsEnd = true
    for (const one of this.#streams) one.abort(STOPS)
  }

  /** Gives up every operation in progress: each is answered with what is known of it. */
  abandon(): void {
    for (const one of this.#inProgress) one.abort(STOPS)
  }

  async #answer(visit: Visit): Promise<Answer | Streamed> {
    const { method = '' } = visit.request
    // Until the route is known nothing can have been applied.
    let route: Route | undefined
    try {
      const target = this.#target(visit.request)
      const match = this.#router.match(target.segments)
      if (method === 'OPTIONS') return empty(204, { Allow: match.allow })
      const chosen = match.choose(method)
      return await this.#admitted(chosen, () => {
        route = chosen
        return this.#carryOut(chosen, match, target, visit)
      })
    } catch (thrown) {
      return problemAnswer(thrown, route?.writes === true)
    }
  }

  #target({ url = '', headers }: IncomingMessage): Target {
    if (this.#options.loopback && !isHere(headers.host)) {
      // A web page may give its own name our address, and would then speak to us as its own server.
      throw new HttpRefusal(421, 'WRONG_HOST', `this gateway listens on loopback only, and is not ${headers.host}`)
    }
    const target = parseTarget(url)
    if (target === undefined) throw invalidArgument('the path has a % that does not begin an escape like %2F')
    return target
  }

  async #admitted(route: Route, work: () => Promise<Answer | Streamed>): Promise<Answer | Streamed> {
    if (route.asks !== 'store') return work()
    const leave = this.#options.services.operations.admit()
    try {
      return await work()
    } finally {
      leave()
    }
  }

  async #carryOut(route: Route, { key, hasKey }: Match, target: Target, visit: Visit): Promise<Answer | Streamed> {
    const { services } = this.#options
    const { request, hold, signal } = visit
    if (hasKey) checkKey(key, services.operations.limits)
    const query = checked(route.query, parametersOf(target.query), 'the query')
    if (route.body === undefined) expectNoBody(request)
    const body = route.body === undefined ? undefined : await this.#body(route.body, visit)
    return route.handle({ key, query, headers: request.headers, body, signal, hold }, services)
  }

  async #body(rule: BodyRule<unknown>, { request, hold, go }: Visit): Promise<unknown> {
    const { limits } = this.#options.services.operations
    const isBytes = mediaTypeOf(request, rule.lax) === 'bytes'
    if (isBytes) {
      if (rule.fromBytes === undefined) throw new HttpRefusal(415, 'UNSUPPORTED_MEDIA_TYPE', 'the body must be JSON')
      return rule.fromBytes(await readBody(request, { bytesMax: limits.valueBytesMax, hold, go }))
    }
    const json = parseJson(await readBody(request, { bytesMax: rule.bytesMax(limits), hold, go }))
    rule.guard?.(json, limits)
    return checked(rule.schema, json, 'the body')
  }
}

/** Whoever names the machine by an address or as localhost means it; any other name may be somebody's trick. */
function isHere(host: string | undefined): boolean {
  const name = host?.replace(/:\d*$/, '').toLowerCase()
  return name === undefined || name.startsWith('[') || /^(?:(?:.+\.)?localhost|\d+(?:\.\d+){3})$/.test(name)
}

function parametersOf(query: string): Record<string, string> {
  const parameters: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(query)) {
    if (Object.hasOwn(parameters, name)) throw invalidArgument(`the query has ${JSON.stringify(name)} twice`)
    Object.defineProperty(parameters, name, { value, enumerable: true })
  }
  return parameters
}

function checked(schema: z.ZodType, value: unknown, what: string): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => wordsFor(issue, value, what))
  throw invalidArgument(faults.join('; ').slice(0, DETAIL_LENGTH_MAX))
}
