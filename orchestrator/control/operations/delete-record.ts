import { z } from 'zod'
import { DEFAULT_LIMITS } from '../../core/limits.js'
import { commonFields, whole } from './record-fields.js'

// The deletion of every key with a prefix. How far it is stands here only now and then: what was deleted since is deleted once more
// by whoever goes on, which finds nothing.

const bytes = z.base64().max(4 * Math.ceil(DEFAULT_LIMITS.keyBytesMax / 3))

export const deletePrefixSchema = z.strictObject({
  ...commonFields,
  kind: z.literal('delete-prefix'),
  /** Empty: every key. */
  prefix: bytes,
  /** The last key that was seen to; undefined: none yet. The walk never comes back to those before it. */
  cursor: bytes.optional(),
  /** It was asked for once more while it ran: when it has come to the end it begins anew, for what was written behind it. */
  again: z.boolean(),
  /** How many there were; null: they could not be counted. undefined: not asked yet. */
  total: whole.nullable().optional(),
  deleted: whole,
  passed: whole,
})

export type DeletePrefixRecord = z.output<typeof deletePrefixSchema>
