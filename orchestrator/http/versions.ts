import { z } from 'zod'

// Versions, as they are given, and the words for whoever compares with one.

export const VERSION = /^(?:0|[1-9][0-9]{0,18})$/

/** As it is given: what a JSON number holds exactly may be one. */
const error =
  'must be a version: a whole number from 0 on, as a text, like "12", where a JSON number is not exact (from 2^53 on)'
export const givenVersion = z
  .union([z.int({ error }).min(0, { error }), z.string().regex(VERSION, { error })], { error })
  .meta({ description: 'A version, as answers have it; a number may be one up to 2^53 - 1.' })

/** None of the kinds fits: which one was meant is told by what it compares. */
export function wordsForCondition(input: unknown): string {
  const given = typeof input === 'object' && input !== null ? input : {}
  if ('version' in given) {
    return 'must have a key that is not empty, a comparison ("==", "!=", "<" or ">") and a version (a whole number from 0 on; from 2^53 on as a text), and no more'
  }
  if ('value' in given)
    return 'must have a key that is not empty, a comparison ("==" or "!=") and a value (a text or {"base64": "..."}), and no more'
  if ('exists' in given)
    return 'must have a key that is not empty, a comparison ("==" or "!=") and exists (true or false), and no more'
  return 'must have a key that is not empty, a comparison, and one of version, value and exists to compare with'
}
