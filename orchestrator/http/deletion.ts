// Operations of the cluster: deletions of prefixes are begun here, and all of them are seen and steered.

import { bytesInJson } from '../core/bytes-json.js'
import { sleep } from '../core/clock.js'
import { type Operation, OperationState, Steer } from '../wire/control.js'
import { type Answer, json } from './answer.js'
import { bytesFrom } from './bytes.js'
import {
  DeletePrefixQuery,
  NewOperation,
  OperationAnswer,
  type OperationJson,
  OperationList,
  OperationQuery,
} from './operation-schemas.js'
import { HttpRefusal } from './problem.js'
import { type Asked, type Route, route, type Services } from './route.js'
import { NoQuery } from './schemas.js'

const FRESH = { 'Cache-Control': 'no-cache' }
const ID = '/v1/operations/{id}'
/** More than any prefix takes in JSON. */
const BODY_BYTES_MAX = 32 * 1024

const BEGINNING = {
  asks: 'orchestrator',
  writes: true,
  answers: {
    200: { description: 'With wait: it has ended; `state` says how.', schema: OperationAnswer },
    202: { description: 'It is under way; Location says where it is to be seen.', schema: OperationAnswer },
  },
  problems: {
    408: 'The time is over. `outcome` says whether it has begun.',
    409: 'Another deletion is under way.',
    501: 'The orchestrator does not know the operation: upgrade it.',
  },
} as const

const STEERED = {
  404: 'There is no such operation.',
  408: 'The time is over.',
  409: 'It cannot be steered so now.',
} as const

const NONE = new Uint8Array()

const deletePrefix = route({
  id: 'deletePrefix',
  method: 'DELETE',
  paths: ['/v1/keys'],
  summary: 'Begins to delete every key with a prefix. What is written before it has ended may be deleted with them.',
  query: DeletePrefixQuery,
  ...BEGINNING,
  handle: (asked, services) => begun(bytesFrom(asked.query.prefix, 'prefix'), asked, services),
})

const begin = route({
  id: 'beginOperation',
  method: 'POST',
  paths: ['/v1/operations'],
  summary: 'The same for any bytes, or for all keys.',
  query: OperationQuery,
  body: { schema: NewOperation, bytesMax: () => BODY_BYTES_MAX, lax: false },
  ...BEGINNING,
  handle: (asked, services) =>
    begun('all' in asked.body ? NONE : bytesFrom(asked.body.prefix, 'prefix'), asked, services),
})

const list = route({
  id: 'operations',
  method: 'GET',
  paths: ['/v1/operations'],
  summary: 'What is under way, and what was.',
  query: NoQuery,
  asks: 'orchestrator',
  writes: false,
  answers: { 200: { description: 'The operations.', schema: OperationList } },
  handle: async (_, { control }) => json(200, { operations: (await control.operations()).map(inJson) }, FRESH),
})

const show = route({
  id: 'operation',
  method: 'GET',
  paths: [ID],
  summary: 'How far one of them is.',
  query: NoQuery,
  asks: 'orchestrator',
  writes: false,
  answers: { 200: { description: 'The operation.', schema: OperationAnswer } },
  problems: { 404: STEERED[404] },
  handle: async ({ key }, services) => json(200, inJson(await find(key, services)), FRESH),
})

const STEERS = { pause: Steer.PAUSE, resume: Steer.RESUME, cancel: Steer.CANCEL } as const
const WHAT: Readonly<Record<keyof typeof STEERS, string>> = {
  pause: 'Has it stand still, until it is resumed.',
  resume: 'Has it go on.',
  cancel: 'Ends it. What a change of the cluster has done is taken back; keys that are deleted stay deleted.',
}

function steering(how: keyof typeof STEERS): Route {
  return route({
    id: `${how}Operation`,
    method: 'POST',
    paths: [`${ID}/${how}`],
    summary: WHAT[how],
    query: NoQuery,
    asks: 'orchestrator',
    writes: true,
    answers: { 200: { description: 'The operation.', schema: OperationAnswer } },
    problems: STEERED,
    handle: async ({ key }, services) => {
      const { id } = await find(key, services)
      return json(200, inJson(await services.control.steer(id, STEERS[how])), FRESH)
    },
  })
}

export const OPERATION_ROUTES: readonly Route[] = [
  deletePrefix,
  list,
  begin,
  show,
  ...(['pause', 'resume', 'cancel'] as const).map(steering),
]

/** Begins it, and follows it to its end if the client waits. An empty prefix is every key: the schemas let it through from nobody else. */
async function begun(
  prefix: Uint8Array,
  { query, signal }: Pick<Asked<{ wait?: boolean; timeout_ms?: number }, unknown>, 'query' | 'signal'>,
  services: Services,
): Promise<Answer> {
  const { control, operations, clock } = services
  const first = await control.deletePrefix(prefix, prefix.length === 0)
  const last = query.wait === true ? await waited() : first
  return json(hasEnded(last) ? 200 : 202, inJson(last), { ...FRESH, Location: `/v1/operations/${last.id}` })

  async function waited(): Promise<Operation> {
    const enough = new AbortController()
    const either = AbortSignal.any([signal, enough.signal])
    const late = sleep(clock, query.timeout_ms ?? operations.limits.deadlineMs, either).then(
      () => enough.abort(),
      () => {},
    )
    let now = first
    try {
      for await (const one of control.watch(first.id, either)) now = one
    } catch {
      // It goes on, and it is known where: that is what is answered.
    } finally {
      enough.abort()
      await late
    }
    return now
  }
}

async function find(id: Buffer, { control }: Services): Promise<Operation> {
  const found = (await control.operations()).find((one) => id.equals(Buffer.from(one.id)))
  if (found !== undefined) return found
  throw new HttpRefusal(404, 'NO_SUCH_OPERATION', 'there is no such operation, or it ended long ago')
}

const STATES: Readonly<Partial<Record<OperationState, OperationJson['state']>>> = {
  [OperationState.RUNNING]: 'running',
  [OperationState.PAUSED]: 'paused',
  [OperationState.CANCELLING]: 'cancelling',
  [OperationState.DONE]: 'done',
  [OperationState.CANCELLED]: 'cancelled',
}

function inJson({ id, kind, what, state, begunAt, endedAt, detail, keys }: Operation): OperationJson {
  const moment = (ms: bigint) => (ms === 0n ? null : Number(ms))
  const about = {
    id,
    kind,
    what,
    state: STATES[state] ?? 'running',
    begun_at: moment(begunAt),
    ended_at: moment(endedAt),
    detail,
  }
  if (keys === undefined) return about
  const { prefix, total, deleted, passed } = keys
  return {
    ...about,
    keys: {
      prefix: bytesInJson(prefix),
      total: total === undefined ? null : Number(total),
      deleted: Number(deleted),
      passed: Number(passed),
    },
  }
}

function hasEnded({ state }: Operation): boolean {
  return state === OperationState.DONE || state === OperationState.CANCELLED
}
