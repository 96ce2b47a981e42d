import type { z } from 'zod'
import { describe } from '../core/words.js'

/**
 * What is wrong with a body or a query, and how it should be: `value must be a text, ..., not the number 5 (in the body)`.
 * `what` names the whole.
 */
export function wordsFor(issue: z.core.$ZodIssue, whole: unknown, what: string): string {
  const where = pathOf(issue.path)
  if (issue.code === 'unrecognized_keys') {
    return `${where === '' ? what : `${where} in ${what}`} has nothing called ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`
  }
  const given = at(whole, issue.path)
  const name = where === '' ? what : where
  const inside = where === '' ? '' : ` (in ${what})`
  if (given === undefined) return `${name} is missing${inside}: it ${mustBe(issue)}`
  const not = issue.code === 'invalid_union' && isObject(given) ? '' : `, not ${describe(given)}`
  return `${name} ${mustBe(issue)}${not}${inside}`
}

/** What such a thing should hold has been said; that it is one says nothing. */
function isObject(given: unknown): boolean {
  return typeof given === 'object' && given !== null && !Array.isArray(given)
}

/** Words of our own begin with "must be"; the library's are turned into such. */
function mustBe({ message, ...issue }: z.core.$ZodIssue): string {
  if (message.startsWith('must ')) return message
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${NAMES[issue.expected] ?? issue.expected}`
    case 'invalid_format':
      // What a pattern means has words of its own in the schema.
      return issue.format === 'regex' ? 'must be written otherwise' : `must be ${issue.format}`
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
    case 'too_big':
      return `must be at most ${issue.maximum}`
    case 'too_small':
      return `must be at least ${issue.minimum}`
    case 'invalid_union':
      return issue.discriminator === undefined ? 'must be something else' : `must have a known "${issue.discriminator}"`
    default:
      return `must be otherwise (${message})`
  }
}

const NAMES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
}

function at(whole: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Readonly<Record<PropertyKey, unknown>> | undefined)?.[key],
    whole,
  )
}

/** operations[3].value */
function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? String(key) : `${text}.${String(key)}`
  }, '')
}
