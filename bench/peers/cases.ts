// What is measured of every contender. A case is data: the driver does the same with each client.
export interface Case {
  readonly name: string
  readonly callers: number
  readonly operations: 'put' | 'get' | 'half put half get'
  /** The length of every value. */
  readonly bytes: number
  /** Before its keys. Cases with the same one share keys, so their values must have the same length. */
  readonly prefix: string
}

/** Each case works on so many keys. */
export const KEYS = 10_000

/** What the goals name. */
export const ONE_PUT = '1 caller put 512 B'
export const PUTS = '64 callers put 256 B'
export const GETS = '64 callers get 256 B'
export const MIXED = '256 callers half put half get 256 B'

export const CASES: readonly Case[] = [
  { name: ONE_PUT, callers: 1, operations: 'put', bytes: 512, prefix: 'one' },
  { name: PUTS, callers: 64, operations: 'put', bytes: 256, prefix: 'key' },
  { name: GETS, callers: 64, operations: 'get', bytes: 256, prefix: 'key' },
  { name: MIXED, callers: 256, operations: 'half put half get', bytes: 256, prefix: 'key' },
]
