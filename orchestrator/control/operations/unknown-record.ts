import { z } from 'zod'
import { commonFields, isOver } from './record-fields.js'

// An operation of a kind that only a later version knows: this one comes after it when a cluster goes back, or while versions stand
// by beside each other. One that has ended asks nothing of anybody. Its row stays as it is: what is read here is never written.

export const unknownSchema = z
  .looseObject({ ...commonFields, kind: z.string().min(1).max(64) })
  .superRefine((record, context) => {
    if (isOver(record)) return
    const why = `${record.kind} is none that this version knows, and the operation has not ended`
    const message = `${why}: no operation is carried on before a version that knows it has ended it`
    context.addIssue({ code: 'custom', path: ['kind'], message })
  })
  .transform(({ format, id, state, paused, begunAt, endedAt, kind }) => {
    return { format, id, state, paused, begunAt, endedAt, kind: 'unknown' as const, name: kind }
  })

export type UnknownRecord = z.output<typeof unknownSchema>
