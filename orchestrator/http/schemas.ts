// What comes in and what goes out, once: these schemas check requests, and the OpenAPI document is made of them.
import { z } from 'zod'
import { bytesInJson } from '../core/bytes-json.js'
import { DEADLINE_MS_MAX } from '../core/limits.js'
import { type GetResult, type Previous, TTL_MS_MAX } from '../core/operation.js'
import { SCAN_ENTRIES_MAX } from '../core/range.js'
import { OUTCOMES } from '../errors/index.js'
import { Bytes, type BytesJson, Key } from './bytes.js'
import { INT64 } from './int64.js'
import { leaseId } from './lease-id.js'
import { named } from './named.js'
import { PROBLEM_CODES } from './problem.js'
import { givenVersion, VERSION, wordsForCondition } from './versions.js'

/** A value and its version. */
function pairOf({ value, version }: Previous): { value: BytesJson; version: string } {
  return { value: bytesInJson(value), version: String(version) }
}

/** What a get has found. */
export function foundOf(result: GetResult): z.output<typeof Found> {
  return { ...pairOf(result), ...(result.ttlMs !== undefined && { ttl_ms: result.ttlMs }) }
}

/** What a write replaced, if it says so. */
export function previously(previous: Previous | undefined) {
  return previous === undefined ? {} : { previous: pairOf(previous) }
}

/** Versions are uint64, which a JSON number cannot hold; no version has 20 digits. */
export const version = named(
  'Version',
  'Of a key; each write gives it a greater one. The ETag is the same in quotes.',
  z.string().regex(VERSION),
)

const ifVersion = givenVersion.optional().meta({ description: 'Applies only if the version is this one; "0": absent.' })
const ms = (least: number) => z.int().min(least).max(DEADLINE_MS_MAX)
const staleMs = ms(0)
const inQuery = (schema: ReturnType<typeof ms>) =>
  z
    .string()
    .regex(/^\d{1,9}$/, { error: 'must be a whole number of ms' })
    .transform(Number)
    .pipe(schema)

export const timeoutMs = inQuery(ms(1))
  .optional()
  .meta({ description: 'How long the request may take. Default: --deadline-ms of the orchestrator.' })

export const NoQuery = z.strictObject({})
export const WriteQuery = z.strictObject({ timeout_ms: timeoutMs })
const returnPrevious = {
  description: 'Answers with what it replaces too, up to 16,384 bytes; a larger value is not replaced.',
}

export const ReplaceQuery = z.strictObject({
  timeout_ms: timeoutMs,
  return_previous: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .pipe(z.boolean())
    .optional()
    .meta(returnPrevious),
})
const LIVES = 'How long the key lives, ms; deleted soon after that and never before. Without it: for ever.'
const ttlMs = z.int().min(1).max(TTL_MS_MAX).meta({ description: LIVES })

export const PutQuery = ReplaceQuery.extend({
  ttl_ms: z
    .string()
    .regex(/^\d{1,12}$/, { error: 'must be a whole number of ms' })
    .transform(Number)
    .pipe(ttlMs)
    .optional()
    .meta({ description: LIVES }),
  lease: leaseId.optional(),
})
export const ReadQuery = z.strictObject({
  timeout_ms: timeoutMs,
  stale_ms: inQuery(staleMs).optional().meta({
    description:
      'Any replica may answer, with what was current so many ms before the request or later. 0: linearizable.',
  }),
})

/** What is no UTF-8 becomes this character on its way here: to look for it would be to look for something else. */
export const textOfKeys = z
  .string()
  .max(1024)
  .regex(/^[^\uFFFD]*$/, { error: 'must be UTF-8, percent-encoded, without U+FFFD' })
export const bound = (description: string) => textOfKeys.optional().meta({ description })
export const flag = (description: string) =>
  z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .pipe(z.boolean())
    .optional()
    .meta({ description })
const bounds = {
  prefix: bound('Only keys that begin so.'),
  from: bound('The first key that may be there.'),
  to: bound('The key before which it ends.'),
}

/** Base64url of a byte that says the direction, and of the last key. */
const cursor = z
  .string()
  .regex(/^[Zc][g-v][A-Za-z0-9_-]{1,5460}$/, { error: 'must be a cursor, as an answer before had it' })

export const CountQuery = z.strictObject({ timeout_ms: timeoutMs, ...bounds })
export const ScanQuery = z.strictObject({
  timeout_ms: timeoutMs,
  ...bounds,
  reverse: flag('From the greatest key down. With a cursor its direction counts.'),
  keys_only: flag('Values are left out.'),
  limit: z
    .string()
    .regex(/^\d{1,5}$/, { error: `must be a whole number from 1 to ${SCAN_ENTRIES_MAX}` })
    .transform(Number)
    .pipe(z.int().min(1).max(SCAN_ENTRIES_MAX))
    .optional()
    .meta({ description: 'Keys at most; there may be fewer although there are more.' }),
  cursor: cursor.optional().meta({ description: 'That of the answer before, to go on behind it.' }),
})

export const Counted = named('Counted', 'How many keys there are.', z.strictObject({ count: z.int().min(0) }))
export const Scanned = named(
  'Scanned',
  'Keys in the order of their bytes. Each that is there during the whole scan comes in one of its answers, once.',
  z.strictObject({
    entries: z.array(z.strictObject({ key: Bytes, value: Bytes.optional(), version })),
    cursor: cursor.optional().meta({ description: 'Not there: there are no more.' }),
  }),
)

export const Value = named('Value', 'A value to be stored.', z.strictObject({ value: Bytes }))

const left = z
  .int()
  .min(0)
  .meta({ description: 'What is left of its time to live, ms. 0: it is due, and about to be deleted.' })
const found = { value: Bytes, version, ttl_ms: left.optional() }
export const Found = named(
  'Found',
  'A value, its version, and how long it lives if not for ever.',
  z.strictObject(found),
)
export const Touch = named(
  'Touch',
  'How long the key is to live from now on; null: for ever.',
  z.strictObject({ ttl_ms: ttlMs.nullable() }),
)
export const Touched = named('Touched', 'Whether the key had a value.', z.strictObject({ existed: z.boolean() }))
export const TimeToLive = named(
  'TimeToLive',
  'How long the key lives; null: for ever.',
  z.strictObject({ ttl_ms: left.nullable() }),
)
export const Written = named('Written', 'The version that the write made.', z.strictObject({ version }))
const previous = named(
  'Previous',
  'What a key was until a write.',
  z.strictObject({ value: Bytes, version }),
).optional()
export const Replaced = named(
  'Replaced',
  'The version that the write made, and what it replaced, if that was asked for and there was something.',
  z.strictObject({ version, previous }),
)
export const Deleted = named(
  'Deleted',
  'Whether there was a value, and which, if that was asked for.',
  z.strictObject({ existed: z.boolean(), previous }),
)
export const Appended = named(
  'Appended',
  'The version that the append made, and the length of the value now, in bytes.',
  z.strictObject({ version, length: z.int().min(0) }),
)

const expected = Bytes.nullable().meta({ description: 'null: the key must be absent.' })

export const CompareAndSet = named(
  'CompareAndSet',
  'A value to be stored if the present one is the expected one, byte for byte.',
  z.strictObject({ expected, value: Bytes }),
)

/** Of int64: as a number where a JSON number is exact, else as a text. */
const INTEGER =
  'must be a whole number from -9223372036854775808 to 9223372036854775807; as a text, like "-5", where a JSON number is not exact (from 2^53 on)'
const by = z.union([z.int({ error: INTEGER }), z.string().regex(INT64, { error: INTEGER })], { error: INTEGER })

export const Increment = named('Increment', 'What to add: an int64, as a text from 2^53 on.', z.strictObject({ by }))
export const Sum = named(
  'Sum',
  'The sum, which is the value now.',
  z.strictObject({ value: z.string().regex(/^-?[0-9]+$/), version }),
)

const lives = { ttl_ms: ttlMs.optional(), lease: leaseId.optional() }
const putting = { op: z.literal('put'), key: Key, value: Bytes, if_version: ifVersion, ...lives }

const TransactionOperation = named(
  'TransactionOperation',
  'One operation of a transaction. It sees what those before it have done.',
  z.discriminatedUnion('op', [
    z.strictObject({ op: z.literal('get'), key: Key }),
    z.strictObject(putting),
    z.strictObject({ op: z.literal('delete'), key: Key, if_version: ifVersion }),
    z.strictObject({ op: z.literal('append'), key: Key, value: Bytes }),
    z.strictObject({ op: z.literal('increment'), key: Key, by }),
  ]),
)

export type TransactionOperationJson = z.output<typeof TransactionOperation>

const equality = z.enum(['==', '!='])
const Condition = named(
  'Condition',
  'What a key has to be. The version of an absent key is "0", and its value is not equal to any.',
  z.union(
    [
      z.strictObject({ key: Key, comparison: z.enum(['==', '!=', '<', '>']), version: givenVersion }),
      z.strictObject({ key: Key, comparison: equality, value: Bytes }),
      z.strictObject({ key: Key, comparison: equality, exists: z.boolean() }),
    ],
    { error: ({ input }) => wordsForCondition(input) },
  ),
)

export type ConditionJson = z.output<typeof Condition>

const branch = z.array(TransactionOperation).optional()

export const Transaction = named(
  'Transaction',
  'Operations on keys of one partition (the same hash tag: "{user:1}name"), at one moment, all of them or none: `then` if every condition holds, else `else`.',
  // biome-ignore lint/suspicious/noThenProperty: a word of the API; nobody awaits a schema.
  z.strictObject({ if: z.array(Condition).optional(), then: branch, else: branch }).meta({
    anyOf: ['if', 'then', 'else'].map((part) => ({ required: [part], properties: { [part]: { minItems: 1 } } })),
  }),
)

export type TransactionJson = z.output<typeof Transaction>

const again = z.boolean().optional().meta(returnPrevious)

const BatchOperation = named(
  'BatchOperation',
  'One operation of a batch.',
  z.discriminatedUnion('op', [
    z.strictObject({ op: z.literal('get'), key: Bytes, stale_ms: staleMs.optional() }),
    z.strictObject({ ...putting, key: Bytes, return_previous: again }),
    z.strictObject({ op: z.literal('delete'), key: Bytes, if_version: ifVersion, return_previous: again }),
    z.strictObject({ op: z.literal('append'), key: Bytes, value: Bytes }),
    z.strictObject({ op: z.literal('compare-and-set'), key: Bytes, expected, value: Bytes }),
    z.strictObject({ op: z.literal('increment'), key: Bytes, by }),
    z.strictObject({ op: z.literal('touch'), key: Bytes, ttl_ms: ttlMs.nullable() }),
    z.strictObject({ op: z.literal('ttl-of'), key: Bytes }),
  ]),
)

export type BatchOperationJson = z.output<typeof BatchOperation>

export const Batch = named(
  'Batch',
  'Operations that are carried out at the same time, each by itself: no transaction, and in no order.',
  z.strictObject({ operations: z.array(BatchOperation) }),
)

export const ProblemAnswer = named(
  'Problem',
  'Why a request, or an operation of a batch, failed (RFC 9457).',
  z.strictObject({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().meta({ description: 'For people; may change.' }),
    code: z.enum(PROBLEM_CODES as [string, ...string[]]).meta({ description: 'For programs; stable.' }),
    outcome: z
      .enum(Object.keys(OUTCOMES) as [string, ...string[]])
      .meta({ description: 'What is known of the operation: whether it took effect.' }),
    retryable: z.boolean().meta({
      description: 'Whether sending it again, unchanged, can succeed. It is safe if the outcome is not-applied.',
    }),
    advice: z.string().meta({ description: 'What to do, for people.' }),
    retry_after_ms: z.int().min(0).optional(),
    shard: z.int().min(0).optional(),
    version: version.optional().meta({ description: "The key's version now, when a condition did not hold." }),
    operation: z.int().min(1).optional().meta({
      description: 'Which operation failed a transaction, from 1, those of `else` counted after those of `then`.',
    }),
  }),
)

const BatchResult = named(
  'BatchResult',
  'What one operation of a batch came to.',
  z.union([
    z.strictObject({ found: z.literal(true), ...found }),
    z.strictObject({ found: z.literal(true), ttl_ms: left.nullable() }),
    z.strictObject({ found: z.literal(false) }),
    Replaced,
    Deleted,
    Appended,
    Sum,
    z.strictObject({ error: ProblemAnswer }),
  ]),
)

export type BatchResultJson = z.output<typeof BatchResult>

export const BatchAnswer = named(
  'BatchAnswer',
  'A result for each operation, in their order.',
  z.strictObject({ results: z.array(BatchResult) }),
)

export const TransactionAnswer = named(
  'TransactionAnswer',
  'Whether every condition held, and a result for each operation of the branch that ran, in their order.',
  z.strictObject({ succeeded: z.boolean(), results: z.array(BatchResult) }),
)

const Node = z.strictObject({
  id: z.string(),
  name: z.string(),
  address: z.string(),
  answers: z.boolean(),
  reason: z.string().optional().meta({ description: 'Why it does not answer.' }),
})

export const ClusterStatus = named(
  'ClusterStatus',
  'The cluster as its orchestrator sees it now.',
  z.strictObject({
    epoch: z.string().regex(/^\d+$/).meta({ description: 'Of the cluster map.' }),
    shards: z.array(
      z.strictObject({
        id: z.int().min(1),
        leader: Node.pick({ id: true, name: true, address: true }).nullable(),
        term: z.string().regex(/^\d+$/),
        nodes: z.array(Node),
      }),
    ),
  }),
)

export type ClusterStatusJson = z.output<typeof ClusterStatus>

export const Alive = named('Alive', 'The process serves.', z.strictObject({ alive: z.literal(true) }))
export const Ready = named(
  'Ready',
  'Requests can be served; shards that have no leader now are named.',
  z.strictObject({ ready: z.literal(true), leaderless: z.array(z.int().min(1)) }),
)
export const AnyObject = z.record(z.string(), z.unknown())
