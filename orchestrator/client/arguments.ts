// What callers may give. TypeScript says so at compile time; a program in JavaScript, or one with a cast, is told here.
import { describe, nearest } from '../core/words.js'

/** The options of a call, all of them: whoever adds one to the type is told by the compiler to add it here. */
export type Names<Options> = { readonly [Name in keyof Required<Options>]: true }

/**
 * Throws a TypeError unless it is an object with these options and no others: one that is misspelt would be passed over, and a
 * condition that is passed over is a lost update.
 */
export function checkOptions(given: unknown, names: Readonly<Record<string, true>>, call: string): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError(`the options of ${call} must be an object, not ${describe(given)}`)
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(names, name)) continue
    const known = Object.keys(names)
    const meant = nearest(name, known)
    const advice = meant === undefined ? `it has ${known.join(', ')}` : `${meant} is meant, perhaps`
    throw new TypeError(`${call} has no option ${JSON.stringify(name)}: ${advice}`)
  }
}

/** How long something may take; undefined: as long as it does otherwise. */
export function checkMs(value: unknown, what: string): void {
  if (value === undefined || (typeof value === 'number' && value > 0)) return
  throw new TypeError(`${what} must be a number of ms above 0, not ${describe(value)}`)
}

/** What an answer gave and is given back: a cursor, a token. */
export function checkText(value: unknown, what: string): void {
  if (value === undefined || typeof value === 'string') return
  throw new TypeError(`${what} must be a string, not ${describe(value)}`)
}

export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw new TypeError(`signal must be an AbortSignal, not ${describe(signal)}`)
}
