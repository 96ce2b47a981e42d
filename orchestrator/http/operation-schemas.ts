// What operations of the cluster look like, and how one on keys is asked for: as in schemas.ts.
import { z } from 'zod'
import { Bytes, someBase64 } from './bytes.js'
import { named } from './named.js'
import { flag, textOfKeys, timeoutMs } from './schemas.js'

const waiting = {
  timeout_ms: timeoutMs,
  wait: flag('Answers when it has ended, or the time is over, instead of when it has begun.'),
}

export const OperationQuery = z.strictObject(waiting)

/** An empty one would be every key. */
const prefix = textOfKeys.min(1)

export const DeletePrefixQuery = z.strictObject({
  ...waiting,
  prefix: prefix.meta({ description: 'Every key that begins so. For bytes that are no text: POST /v1/operations.' }),
})

export const NewOperation = named(
  'NewOperation',
  'Every key that begins so, or every key there is, is to be deleted.',
  z.union([
    z.strictObject({
      kind: z.literal('delete-prefix'),
      prefix: z.union([prefix, z.strictObject({ base64: someBase64 })]),
    }),
    z.strictObject({ kind: z.literal('delete-prefix'), all: z.literal(true) }),
  ]),
)

export type NewOperationJson = z.output<typeof NewOperation>

const count = z.int().min(0)
const moment = z.int().min(0).nullable()

export const OperationAnswer = named(
  'Operation',
  'Work that goes on whatever becomes of who asked for it.',
  z.strictObject({
    id: z.string(),
    kind: z.string().meta({ description: '"delete-prefix", or one of those that change the cluster.' }),
    what: z.string().meta({ description: 'For people.' }),
    state: z.enum(['running', 'paused', 'cancelling', 'done', 'cancelled']),
    begun_at: moment.meta({ description: 'Ms since 1970.' }),
    ended_at: moment.meta({ description: 'null: not yet.' }),
    detail: z.string().meta({ description: 'For people: what it does now, or what it waits for.' }),
    keys: z
      .strictObject({
        prefix: Bytes,
        total: count.nullable().meta({ description: 'How many there were when it began; null: nobody knows.' }),
        deleted: count.meta({ description: 'At least so many.' }),
        passed: count.meta({ description: 'Written while it ran, and left alone.' }),
      })
      .optional(),
  }),
)

export type OperationJson = z.output<typeof OperationAnswer>

export const OperationList = named(
  'OperationList',
  'Those that are under way and the last ones that have ended, the newest first.',
  z.strictObject({ operations: z.array(OperationAnswer) }),
)
