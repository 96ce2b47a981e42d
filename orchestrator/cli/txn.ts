import { readFileSync } from 'node:fs'
import { printableKey } from '../core/text.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { type Reply, resultInJson, transactionFrom } from './txn-json.js'
import { withKv } from './with-kv.js'

/** The file that stands for stdin. */
const STDIN = '-'

export const TXN_HELP = `
{"if": [...], "then": [...], "else": [...]}, all on keys of one hash tag: then is done if every condition holds, else the other, at one moment.
A condition:   {"key": "{u}a", "comparison": "==", "version": 3}   "!=", "<" and ">" too; "value" and "exists" with "==" and "!="
An operation:  {"op": "put", "key": "{u}a", "value": "v"}          or get, delete, append, increment ("by"); "if_version" of put and delete, "ttl_ms" of put
Keys and values that are no text are {"base64": "..."}. It is the body of POST /v1/txn, where versions are texts ("3").`

/** What a transaction is read from, and what its words are. Throws a TypeError for a file that cannot be read. */
export function textOf(file: string): string {
  try {
    return readFileSync(file === STDIN ? 0 : file, 'utf8')
  } catch (cause) {
    throw new TypeError(`${file === STDIN ? 'stdin' : file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** Carries out a transaction and prints which branch ran, and what its operations came to. */
export async function txn(text: string, { json }: Form, connection: Connection, { out }: Context): Promise<number> {
  const reply: Reply = await withKv(connection, (kv) => transactionFrom(text, kv).run())
  out(json ? inJson(reply) : inWords(reply, text))
  return EXIT.ok
}

function inJson({ succeeded, results }: Reply): string {
  return `${JSON.stringify({ ok: true, succeeded, results: results.map(resultInJson) })}\n`
}

function inWords({ succeeded, results }: Reply, text: string): string {
  const name = succeeded ? 'then' : 'else'
  const steps = (JSON.parse(text) as Record<string, readonly Shown[] | undefined>)[name] ?? []
  const rows = results.map((result, index) => [nameOf(steps[index]), wordsOf(result)] as const)
  const width = Math.max(0, ...rows.map(([step]) => step.length))
  const why = succeeded ? 'every condition holds' : 'a condition does not hold'
  return [`${name} (${why})`, ...rows.map(([step, words]) => `  ${step.padEnd(width)}  ${words}`), ''].join('\n')
}

interface Shown {
  readonly op: string
  readonly key: string | { readonly base64: string }
}

function nameOf(step: Shown | undefined): string {
  if (step === undefined) return ''
  const key = typeof step.key === 'string' ? Buffer.from(step.key) : Buffer.from(step.key.base64, 'base64')
  return `${step.op} ${printableKey(key)}`
}

function wordsOf(result: Reply['results'][number]): string {
  if (result === null) return '(no value)'
  if (typeof result === 'bigint') return String(result)
  if ('text' in result) return `${printableKey(result.value)} (version ${result.version})`
  if ('existed' in result) return result.existed ? 'deleted' : '(no value)'
  if ('length' in result) return `${result.length} bytes (version ${result.version})`
  return `version ${result.version}`
}
