// The OpenAPI document, made of the routes and schemas that requests are really checked with.
import { z } from 'zod'
import { LEASE_ID } from '../core/lease.js'
import { EVENT_STREAM } from './events.js'
import { NAMED } from './named.js'
import { PROBLEM_TYPE } from './problem.js'
import type { AnswerNote, BodyRule, Route } from './route.js'
import { ProblemAnswer } from './schemas.js'

type Json = Readonly<Record<string, unknown>>

interface OperationJson extends Json {
  readonly operationId: string
  readonly responses: Readonly<Record<string, Json>>
}

const COMPONENTS = '#/components/schemas/'

const ETAG = { ETag: { description: 'The version in quotes.', schema: { type: 'string' } } }

/** Problems of everything that is asked of the Store. */
const OF_THE_STORE: Readonly<Record<number, string>> = {
  408: 'The time is over. `outcome` says what is known of the operation.',
  429: 'Too much at once: try again after Retry-After.',
  501: 'A node does not know the operation: upgrade it.',
  502: 'A node is not whom the cluster map says.',
  503: 'No leader could be reached, or the gateway stops.',
}

const LEASE = {
  ...{ name: 'lease', in: 'path', required: true },
  ...{ description: 'The id of a lease.', schema: { type: 'string', pattern: LEASE_ID.source } },
}

const OF_A_KEY: Readonly<Record<number, string>> = { 414: 'The key is too long.' }

const OF_A_BODY: Readonly<Record<number, string>> = {
  408: 'The body did not come in time, or the time is over.',
  413: 'The body, or a value in it, is too large.',
  415: 'The body has another Content-Type than is understood.',
}

const OF_THE_ORCHESTRATOR: Readonly<Record<number, string>> = { 503: 'It cannot tell now, or is not ready.' }

const OF_ALL: Readonly<Record<number, string>> = {
  400: 'The request is not as it must be.',
  405: 'The path has no such method; Allow names those that it has.',
  421: 'On loopback: the request names another host.',
  431: 'The head of the request is too large.',
  500: 'A fault in Kvorum.',
}

export function documentOf(routes: readonly Route[]): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    for (const [index, path] of route.paths.entries()) {
      const methods: Record<string, Json> = { [route.method.toLowerCase()]: operationOf(route, path, index) }
      if (route.method === 'GET') methods.head = headOf(route, path, index)
      paths[path] = { ...paths[path], ...methods }
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Kvorum',
      version: '1',
      description: 'A sharded, replicated, linearizable, durable key-value store. Failures are problems (RFC 9457).',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
    components: { schemas: componentSchemas() },
  }
}

function operationOf(route: Route, path: string, index: number): OperationJson {
  const { id, summary, body } = route
  return {
    // The first path is the proper one.
    operationId: index === 0 ? id : `${id}Short`,
    summary,
    parameters: [...pathParameters(path), ...queryParameters(route), ...headerParameters(route)],
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    responses: responsesOf(route, path),
  }
}

/** The same without a body. */
function headOf(route: Route, path: string, index: number): Json {
  const operation = operationOf(route, path, index)
  const bodiless = Object.entries(operation.responses).map(([status, { content: _, ...rest }]) => [status, rest])
  return { ...operation, operationId: `${operation.operationId}Head`, responses: Object.fromEntries(bodiless) }
}

function pathParameters(path: string): Json[] {
  if (path.includes('{lease}')) return [LEASE]
  if (path.includes('{id}')) {
    const description = 'The id of the operation.'
    return [{ name: 'id', in: 'path', required: true, description, schema: { type: 'string', minLength: 1 } }]
  }
  if (!path.includes('{key}')) return []
  const description = 'The key: any bytes, percent-encoded where they are not plain; a slash is %2F.'
  return [{ name: 'key', in: 'path', required: true, description, schema: { type: 'string', minLength: 1 } }]
}

function queryParameters({ query }: Route): Json[] {
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    ...{ name, in: 'query', required: required.includes(name) },
    ...{ description, schema },
  }))
}

function headerParameters({ headers = [] }: Route): Json[] {
  return headers.map(({ name, description, pattern, example }) => ({
    ...{ name, in: 'header', required: false },
    ...{ description, example, schema: { type: 'string', pattern } },
  }))
}

function requestBody({ schema, fromBytes }: BodyRule<unknown>): Json {
  const asBytes = fromBytes === undefined ? {} : { 'application/octet-stream': {} }
  return { required: true, content: { 'application/json': { schema: reference(schema) }, ...asBytes } }
}

function responsesOf(route: Route, path: string): Record<string, Json> {
  const answers = Object.entries(route.answers).map(([status, note]) => [status, answerOf(note)])
  const problems = {
    ...OF_ALL,
    ...(path.includes('{key}') ? OF_A_KEY : {}),
    ...(route.asks === 'store' ? OF_THE_STORE : {}),
    ...(route.asks === 'orchestrator' ? OF_THE_ORCHESTRATOR : {}),
    ...(route.body === undefined ? {} : OF_A_BODY),
    ...route.problems,
  }
  const failures = Object.entries(problems).map(([status, description]) => [status, problem(status, description)])
  return Object.fromEntries([...answers, ...failures])
}

function answerOf({ description, schema, bytes, etag, events }: AnswerNote): Json {
  const asBytes = bytes === undefined ? {} : { 'application/octet-stream': {} }
  const type = events === undefined ? 'application/json' : EVENT_STREAM
  const content = schema === undefined ? {} : { content: { [type]: { schema: reference(schema) }, ...asBytes } }
  return { description, ...(etag === undefined ? {} : { headers: ETAG }), ...content }
}

function problem(status: string, description: string): Json {
  const seconds = { description: 'Seconds.', schema: { type: 'integer', minimum: 1 } }
  const headers = status === '429' ? { headers: { 'Retry-After': seconds } } : {}
  return { description, ...headers, content: { [PROBLEM_TYPE]: { schema: reference(ProblemAnswer) } } }
}

/** By its name if it has one. */
function reference(schema: z.ZodType): Json {
  const known = NAMED.get(schema)
  return known === undefined ? schemaOf(schema) : { $ref: COMPONENTS + known.id }
}

function schemaOf(schema: z.ZodType): Json {
  return bare(z.toJSONSchema(schema, { io: 'output' }))
}

function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(NAMED, { uri: (id) => COMPONENTS + id })
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]))
}

/** The document says once which dialect its schemas are in. */
function bare({ $schema: _, $id: __, ...schema }: Json): Json {
  return schema
}
