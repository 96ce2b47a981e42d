import { z } from 'zod'
import { type DeletePrefixRecord, deletePrefixSchema } from './delete-record.js'
import { replaceSchema } from './replace-record.js'
import { replicasSchema } from './replicas-record.js'
import { reshardSchema } from './reshard-record.js'
import { type RollingRecord, rollingSchema } from './rolling-record.js'
import { type UnknownRecord, unknownSchema } from './unknown-record.js'

// An operation as the journal in meta has it: JSON, checked when it is read. It is a plan and what has become of it.

/** Each kind of operation, by its name. */
export interface Records {
  readonly reshard: z.output<typeof reshardSchema>
  readonly rolling: RollingRecord
  readonly replicas: z.output<typeof replicasSchema>
  readonly replace: z.output<typeof replaceSchema>
  readonly 'delete-prefix': DeletePrefixRecord
  readonly unknown: UnknownRecord
}

export type OperationRecord = Records[keyof Records]

const KINDS = [reshardSchema, rollingSchema, replicasSchema, replaceSchema, deletePrefixSchema] as const

/** What may be written. */
export const operationSchema: z.ZodType<Exclude<OperationRecord, UnknownRecord>> = z.preprocess(
  withKind,
  z.discriminatedUnion('kind', KINDS),
)

/** Of what may be read, the one that this row is to be read by. */
export function schemaOf(row: unknown): z.ZodType<OperationRecord> {
  const kinds: readonly unknown[] = KINDS.map(({ shape }) => shape.kind.value)
  const isUnknown = typeof row === 'object' && row !== null && 'kind' in row && !kinds.includes(row.kind)
  return isUnknown ? unknownSchema : operationSchema
}

/** There was only one kind, and it had no name. */
function withKind(row: unknown): unknown {
  if (typeof row !== 'object' || row === null || 'kind' in row) return row
  return { ...row, kind: 'reshard' }
}

/** What operations work on. One of each is under way at a time: those that change the cluster know nothing of what is in it. */
export type Lane = 'cluster' | 'keys'

export function laneOf({ kind }: Pick<OperationRecord, 'kind'>): Lane {
  return kind === 'delete-prefix' ? 'keys' : 'cluster'
}
