import { z } from 'zod'
import { commonFields, whole } from './record-fields.js'
import { SHARDS_MAX } from './reshard-record.js'

// A node that takes the place of another one. Who is a member is decided by the group's log, never by what stands here.

export const replaceSchema = z.strictObject({
  ...commonFields,
  kind: z.literal('replace'),
  /** 0 is meta. */
  shard: whole.max(SHARDS_MAX),
  /** Of the node that goes. */
  leaver: whole.min(1),
  /** Of the one that comes; 0 until it is chosen, which is before anything is done with it. */
  joiner: whole,
  /** How many nodes were begun. */
  attempts: whole,
  /** Bring: the new one follows without a vote. Swap: places are changed, which can only be finished. Clear: nothing else is left to do. */
  stage: z.enum(['bring', 'swap', 'clear']),
  /** Who asked for it: a person, or nobody, because the node was lost. */
  by: z.enum(['person', 'itself']),
})

export type ReplaceRecord = z.output<typeof replaceSchema>
