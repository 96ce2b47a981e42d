// Conditions of a request as HTTP writes them. The ETag of a key is its version in quotes: "12". A condition that cannot be
// kept is refused, never passed over: whoever sends one relies on it.
import type { IncomingHttpHeaders } from 'node:http'
import { invalidArgument } from '../errors/index.js'
import { HttpRefusal } from './problem.js'

const STRONG = /^"([1-9][0-9]{0,18})"$/
const TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/
/** Each tag of a list; commas stand inside tags as well. */
const TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

export function etagOf(version: bigint): string {
  return `"${version}"`
}

/** What a write is conditional on: `ifVersion` as the Store takes it, 0 for an absent key. */
export function writeCondition(headers: IncomingHttpHeaders): bigint | undefined {
  noDates(headers)
  const [match, noneMatch] = [headers['if-match'], headers['if-none-match']]
  if (noneMatch !== undefined && noneMatch.trim() !== '*') {
    throw invalidArgument('of a write, If-None-Match can only be *: the key must be absent')
  }
  if (match === undefined) return noneMatch === undefined ? undefined : 0n
  const tag = match.trim()
  if (!TAG.test(tag)) throw invalidArgument('of a write, If-Match must be one ETag, as in "12"')
  const version = STRONG.exec(tag)?.[1]
  // Neither a weak tag nor one that no key ever had matches anything, and no key has a version and is absent.
  if (version === undefined || noneMatch !== undefined) throw conditionFailed('If-Match', undefined)
  return BigInt(version)
}

/** A write that knows no conditions. */
export function noCondition(headers: IncomingHttpHeaders): void {
  noDates(headers)
  if (headers['if-match'] === undefined && headers['if-none-match'] === undefined) return
  throw invalidArgument('this operation takes no condition')
}

/** Keys have versions and no dates. */
function noDates(headers: IncomingHttpHeaders): void {
  const dated = ['if-modified-since', 'if-unmodified-since', 'if-range'].find((name) => headers[name] !== undefined)
  if (dated !== undefined)
    throw invalidArgument(`${dated} cannot be kept here: keys have versions (If-Match), and no dates`)
}

/**
 * What a read is conditional on: of the version that the key turns out to have it says whether the client has that already (304),
 * and throws (412) when the client wants another one.
 */
export function readCondition(headers: IncomingHttpHeaders): (version: bigint) => boolean {
  const match = tagsOf(headers['if-match'])
  const noneMatch = tagsOf(headers['if-none-match'])?.map((tag) => tag.replace(/^W\//, ''))
  return (version) => {
    if (match !== undefined && !names(match, version)) throw conditionFailed('If-Match', version)
    return noneMatch !== undefined && names(noneMatch, version)
  }
}

function names(tags: readonly string[], version: bigint): boolean {
  return tags.includes('*') || tags.includes(etagOf(version))
}

function tagsOf(header: string | undefined): readonly string[] | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return ['*']
  const found = [...header.matchAll(TAGS)]
  if (found.length === 0 || !/^[ \t,]*$/.test(header.replaceAll(TAGS, ''))) {
    throw invalidArgument('If-Match and If-None-Match are * or a list of ETags, as in "12", "13"')
  }
  return found.map(([tag]) => tag)
}

/** 412: of a condition in a header HTTP says so. With the version that there is now, if it is known and there is one. */
export function conditionFailed(header: string, version: bigint | undefined): HttpRefusal {
  const now = version === undefined ? '' : version === 0n ? ': the key is absent' : `: the version is ${version}`
  const headers: Record<string, string> = version ? { ETag: etagOf(version) } : {}
  return new HttpRefusal(412, 'CONDITION_FAILED', `${header} does not hold${now}`, headers)
}

/**
 * Exactly once ends where this gateway's number for the write does, and that is here: a key of the client's own could not
 * be kept, so it is not accepted.
 */
export function noIdempotencyKey(headers: IncomingHttpHeaders): void {
  if (headers['idempotency-key'] === undefined) return
  throw invalidArgument('Idempotency-Key cannot be kept here: make the write conditional (If-Match), or use KvClient')
}
