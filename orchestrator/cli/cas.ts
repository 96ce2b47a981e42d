import type { KvClient } from '../client/index.js'
import { PreconditionFailedError } from '../errors/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { type Left, withKv } from './with-kv.js'
import { shown } from './words.js'

/** On which condition a value is put: the present one is this one, there is none, or the key has this version. */
export type Expected = { readonly value: string } | { readonly absent: true } | { readonly version: bigint }

export interface CasTask {
  readonly key: string
  readonly expected: Expected
  readonly value: string
}

export interface CasFlags {
  readonly absent?: boolean
  readonly ifVersion?: string
}

/** What the words and options of `kvorum cas` mean. Throws a TypeError for what means nothing. */
export function casTaskOf(key: string, words: readonly string[], { absent, ifVersion }: CasFlags): CasTask {
  const conditions = [words.length === 2, absent === true, ifVersion !== undefined].filter(Boolean).length
  const [first = '', second = first] = words
  if (words.length === 0 || words.length > 2 || conditions !== 1) {
    throw new TypeError(
      'kvorum cas takes a key, the expected value and the new one; or --absent, or --if-version, and the new one',
    )
  }
  if (ifVersion !== undefined) return { key, expected: { version: versionFrom(ifVersion) }, value: first }
  return { key, expected: absent ? { absent } : { value: first }, value: second }
}

function versionFrom(word: string): bigint {
  const version = /^\d{1,20}$/.test(word) ? BigInt(word) : -1n
  if (version > 0n && BigInt.asUintN(64, version) === version) return version
  throw new TypeError(`--if-version takes a version as answers have it, from 1 on, not ${word} (absent is --absent)`)
}

/** Puts a value if the condition holds; says it, with an exit code of its own, when it does not. */
export async function cas(
  { key, expected, value }: CasTask,
  { json }: Form,
  connection: Connection,
  { out, warn }: Context,
): Promise<number> {
  try {
    const { version } = await withKv(connection, (kv, left) => put(kv, { key, expected, value }, left()))
    out(json ? `${JSON.stringify({ ok: true, key, version: String(version) })}\n` : 'ok\n')
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error
    const { code, message, outcome, version } = error
    const known = { code, message, outcome, ...(version === undefined ? {} : { version: String(version) }) }
    if (json) out(`${JSON.stringify({ ok: false, error: known })}\n`)
    warn(`kvorum: ${shown(key)} was not changed: ${message}\n`)
    return EXIT.differs
  }
}

function put(kv: KvClient, { key, expected, value }: CasTask, left: Left): Promise<{ readonly version: bigint }> {
  if ('version' in expected) return kv.put(key, value, { ...left, ifVersion: expected.version })
  return kv.compareAndSet(key, 'absent' in expected ? null : expected.value, value, left)
}
