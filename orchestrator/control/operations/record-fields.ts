import { z } from 'zod'

// What every operation has in the journal, whatever its kind.

export const whole = z.int().min(0)

export const commonFields = {
  format: z.literal(1),
  id: z.string().min(1).max(64),
  state: z.enum(['running', 'cancelling', 'done', 'cancelled']),
  paused: z.boolean(),
  /** Ms since 1970, for people; 0: not yet. */
  begunAt: whole,
  endedAt: whole,
}

export function isOver({ state }: { readonly state: z.output<typeof commonFields.state> }): boolean {
  return state === 'done' || state === 'cancelled'
}
