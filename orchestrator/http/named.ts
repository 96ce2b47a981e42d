import { z } from 'zod'

/** The schemas that the document names. */
export const NAMED = z.registry<{ id: string; description?: string }>()

export function named<T extends z.ZodType>(id: string, description: string, schema: T): T {
  NAMED.add(schema, { id, description })
  return schema
}
