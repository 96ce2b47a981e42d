import { type KvClient, type Op, op, type TransactionReply } from '../client/index.js'
import { bytesFromBase64, bytesInJson } from '../core/bytes-json.js'

/** A transaction as JSON has it, the same as in POST /v1/txn of HTTP: {"if": [...], "then": [...], "else": [...]}. */
export function transactionFrom(text: string, client: KvClient) {
  const { if: conditions, then, else: otherwise, ...rest } = objectFrom(parsed(text), 'the transaction')
  nothingElse(rest, 'the transaction')
  let start = client.txn()
  for (const [index, one] of listFrom(conditions, 'if').entries()) {
    start = within(`if[${index}]`, () => withCondition(start, objectFrom(one, 'a condition')))
  }
  return start.then(...opsFrom(then, 'then')).else(...opsFrom(otherwise, 'else'))
}

type Start = ReturnType<KvClient['txn']>
type Fields = Readonly<Record<string, unknown>>

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TypeError(`the transaction is no JSON: ${(cause as Error).message}`, { cause })
  }
}

function withCondition(start: Start, { key, comparison, ...rest }: Fields): Start {
  const [[what, operand] = [], ...more] = Object.entries(rest)
  if (more.length > 0 || what === undefined) throw new TypeError('a condition has one of version, value and exists')
  const order = comparison as '=='
  if (what === 'value') return start.if(bytesFrom(key), 'value', order, bytesFrom(operand))
  if (what === 'exists') return start.if(bytesFrom(key), 'exists', order, operand as boolean)
  if (what === 'version') return start.if(bytesFrom(key), 'version', order, integerFrom(operand, 'version'))
  throw new TypeError(`a condition has no ${what}`)
}

function opsFrom(list: unknown, name: string): Op[] {
  return listFrom(list, name).map((one, index) =>
    within(`${name}[${index}]`, () => opFrom(objectFrom(one, 'an operation'))),
  )
}

function opFrom({ op: kind, key: name, value, by, if_version, ttl_ms, ...rest }: Fields): Op {
  nothingElse(rest, 'an operation')
  const key = bytesFrom(name)
  const options = if_version === undefined ? {} : { ifVersion: integerFrom(if_version, 'if_version') }
  switch (kind) {
    case 'get':
      return op.get(key)
    case 'put':
      return op.put(key, bytesFrom(value), {
        ...options,
        ...(ttl_ms !== undefined && { ttlMs: Number(integerFrom(ttl_ms, 'ttl_ms')) }),
      })
    case 'delete':
      return op.delete(key, options)
    case 'append':
      return op.append(key, bytesFrom(value))
    case 'increment':
      return op.increment(key, integerFrom(by, 'by'))
    default:
      throw new TypeError('op is get, put, delete, append or increment')
  }
}

/** Says where in the file a mistake is. */
function within<T>(place: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof TypeError) throw new TypeError(`${place}: ${error.message}`, { cause: error })
    throw error
  }
}

function nothingElse(rest: Fields, what: string): void {
  const [name] = Object.keys(rest)
  if (name !== undefined) throw new TypeError(`${what} has no ${JSON.stringify(name)}`)
}

function objectFrom(json: unknown, what: string): Fields {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Fields
  throw new TypeError(`${what} must be an object`)
}

function listFrom(json: unknown, name: string): readonly unknown[] {
  if (json === undefined) return []
  if (Array.isArray(json)) return json
  throw new TypeError(`${name} must be a list`)
}

function bytesFrom(json: unknown): string | Uint8Array {
  if (typeof json === 'string') return json
  const { base64 } = (json ?? {}) as { base64?: unknown }
  const bytes = bytesFromBase64(base64)
  if (bytes !== undefined) return bytes
  throw new TypeError('keys and values are texts, or {"base64": "..."}')
}

function integerFrom(json: unknown, what: string): bigint {
  if (typeof json === 'number' && Number.isSafeInteger(json)) return BigInt(json)
  if (typeof json === 'string' && /^(?:0|-?[1-9]\d*)$/.test(json)) return BigInt(json)
  throw new TypeError(`${what} must be a whole number, or a text that is one`)
}

export type Reply = TransactionReply<readonly Op[], readonly Op[]>

/** A result for programs: what HTTP answers. */
export function resultInJson(result: Reply['results'][number]): Fields {
  if (result === null) return { found: false }
  if (typeof result === 'bigint') return { value: String(result) }
  if ('text' in result) return { found: true, value: bytesInJson(result.value), version: String(result.version) }
  if ('existed' in result) return { existed: result.existed }
  if ('length' in result) return { version: String(result.version), length: result.length }
  return { version: String(result.version) }
}
