import { z } from 'zod'
import { BATCH_OPERATIONS_TOP, DEADLINE_MS_MAX, DEFAULT_LIMITS, VALUE_BYTES_TOP } from '../core/limits.js'

// Every option of the orchestrator: what it is, its unit, default and range, and why it is so. Flags, environment
// variables, the config file and --help are all derived from this one table.

/** What is told of an option besides its type, range and default. */
export interface OptionNotes {
  readonly what: string
  readonly why: string
  readonly unit?: string
  /** In words, what holds when it is not given, where no fixed default can say it. */
  readonly otherwise?: string
}

const option = <T extends z.ZodType>(schema: T, notes: OptionNotes): T => schema.meta({ ...notes })
const whole = (min: number, max: number) => z.int().min(min).max(max)

const MIB = 1 << 20

export const schema = z.strictObject({
  shards: option(whole(1, 256).optional(), {
    what: 'Raft groups that the keys are spread over',
    otherwise: 'what the data directory has, or 3',
    unit: 'shards',
    why: 'each has its own log and its own leader, so writes of different shards do not wait for each other',
  }),
  replicas: option(whole(1, 7).optional(), {
    what: 'nodes of each shard, and of meta',
    otherwise: 'what the data directory has, or 3',
    unit: 'nodes per shard',
    why: '3 survive the loss of one, 5 of two; an even number survives no more than the odd one below it',
  }),
  host: option(z.string().min(1).default('127.0.0.1'), {
    what: 'address that clients connect to',
    why: 'only this machine can connect unless told otherwise; any other address needs --insecure',
  }),
  port: option(whole(0, 65_535).default(7000), {
    what: 'port that clients connect to; 0 takes a free one',
    why: 'fixed, so that clients find it again after a restart',
  }),
  http: option(z.boolean().default(true), {
    what: 'serve HTTP/JSON beside gRPC',
    why: 'every language and curl speak it; --http=false leaves one port less that others can reach',
  }),
  httpPort: option(whole(0, 65_535).optional(), {
    what: 'port for HTTP/JSON, on the same host; 0 takes a free one',
    otherwise: 'the one after --port: 7001; a free one with --port 0',
    why: 'it follows --port, so that several orchestrators on one machine need not be told of it',
  }),
  join: option(z.string().min(1).optional(), {
    what: 'gateways of a running cluster, host:port and more of them after commas: be one more orchestrator of it',
    otherwise: 'be the first orchestrator of the data directory',
    why: 'with the same --data it takes over when the one that runs the nodes ends; with another one only if agents or others run the nodes',
  }),
  insecure: option(z.boolean().default(false), {
    what: 'listen on an address that others can reach, without encryption or authentication',
    why: 'it must be asked for by name: whoever reaches the port can read and change everything',
  }),
  data: option(z.string().min(1).default('./data'), {
    what: 'directory that holds everything; under npm a relative one is in the project folder',
    why: 'the same directory means the same cluster, started again',
  }),
  logRequests: option(z.boolean().default(false), {
    what: 'print each request',
    why: 'off, because printing costs more than serving',
  }),
  logFormat: option(z.enum(['auto', 'text', 'json']).default('auto'), {
    what: 'one line per event for a person (text) or for a program (json)',
    why: 'auto means text where stderr is a terminal, json where it is not',
  }),
  logLevel: option(z.enum(['debug', 'info', 'warn', 'error']).default('info'), {
    what: 'least severity that is logged (on stderr), by the nodes too',
    why: 'info tells what changed and nothing that happens per request',
  }),
  keyBytesMax: option(whole(1, DEFAULT_LIMITS.keyBytesMax).default(DEFAULT_LIMITS.keyBytesMax), {
    what: 'longest key that is accepted',
    unit: 'bytes',
    why: "every node keeps all of its shard's keys in memory",
  }),
  valueBytesMax: option(whole(1, VALUE_BYTES_TOP).default(DEFAULT_LIMITS.valueBytesMax), {
    what: 'longest value that is accepted',
    unit: 'bytes',
    why: 'one value is one entry of the Raft log, and a long one holds up those behind it',
  }),
  batchBytesMax: option(whole(65_536, 4 * MIB).default(DEFAULT_LIMITS.batchBytesMax), {
    what: 'size at which a message of many operations is full',
    unit: 'bytes',
    why: 'more does not raise throughput any further and only delays what waits behind it',
  }),
  batchOperationsMax: option(whole(1, BATCH_OPERATIONS_TOP).default(DEFAULT_LIMITS.batchOperationsMax), {
    what: 'most operations in one message',
    unit: 'operations',
    why: 'bounds the work that one message brings',
  }),
  inFlightBytesMax: option(whole(MIB, 4096 * MIB).default(DEFAULT_LIMITS.inFlightBytesMax), {
    what: 'what accepted and unanswered operations may hold; past it clients get OVERLOADED',
    unit: 'bytes',
    why: 'bounds memory whatever the clients do',
  }),
  inFlightOperationsMax: option(whole(1, 1 << 24).default(DEFAULT_LIMITS.inFlightOperationsMax), {
    what: 'how many operations may be accepted and unanswered; past it clients get OVERLOADED',
    unit: 'operations',
    why: 'small operations cost more memory than their bytes tell',
  }),
  deadlineMs: option(whole(1, DEADLINE_MS_MAX).default(DEFAULT_LIMITS.deadlineMs), {
    what: 'deadline of an operation whose client gave none',
    unit: 'ms',
    why: 'longer than any change of leader, short enough that a caller learns of an outage',
  }),
  lingerMs: option(whole(0, DEADLINE_MS_MAX).default(30_000), {
    what: 'how long a shard that is taken away stays when it owns nothing any more; never less than --deadline-ms',
    unit: 'ms',
    why: 'a write in doubt is asked of the shard that it was sent to: longer than the deadlines of the clients',
  }),
  moveRestFactor: option(whole(0, 100).default(3), {
    what: 'how many times as long as a move of partitions took clients have everything to themselves before the next one; a second at most',
    unit: 'times',
    why: 'what moves cost is taken from clients; with 0 more shards are there four times as soon',
  }),
  leaderSettleMs: option(whole(0, 3_600_000).default(10_000), {
    what: 'how long a leader must have led, or a disk have been slow, before leadership is moved because of that',
    unit: 'ms',
    why: 'a start or an election may not be over, and a disk may be slow for moments; a drain never waits for it',
  }),
  startTimeoutMs: option(whole(1_000, 3_600_000).default(60_000), {
    what: 'how long a start may take until every shard has a leader; then it fails and says what is missing',
    unit: 'ms',
    why: 'a start takes a few seconds; a node that replays a long log takes longer',
  }),
  stopTimeoutMs: option(whole(100, 600_000).default(10_000), {
    what: 'how long a node may take to stop before it is killed',
    unit: 'ms',
    why: 'a clean stop takes well under a second; a kill loses nothing that was acknowledged',
  }),
  replaceAfterMs: option(whole(0, 604_800_000).default(600_000), {
    what: 'how long a node whose data is gone is waited for before a new one takes its place; 0: for ever',
    unit: 'ms',
    why: 'a disk that was not mounted may come back; a node that only restarts is never replaced',
  }),
  replaceMachineAfterMs: option(whole(0, 604_800_000).default(1_800_000), {
    what:
      'how long nothing must have been heard of a machine, neither of its agent nor of a node on it, until its nodes are ' +
      'replaced on other machines; 0: for ever',
    unit: 'ms',
    why: 'a reboot, or a cable that is plugged in again, brings all of its data back; a copy of that costs much more',
  }),
  kvnode: option(z.string().min(1).optional(), {
    what: 'the node program',
    otherwise: 'the one that was built here',
    why: 'for a node that was built or installed elsewhere',
  }),
  driver: option(z.enum(['local', 'agent', 'static']).default('local'), {
    what:
      'where nodes run: on this machine, on those where a "kvorum agent" runs (agent, with --agents), or where somebody ' +
      'else starts them (static, with --nodes)',
    why: 'one machine is the simplest; replicas on several survive the loss of one',
  }),
  agents: option(z.string().min(1).optional(), {
    what: 'the agents of --driver agent: host:port, with commas between them',
    otherwise: 'none',
    why: 'each is asked for its machine and zone, and replicas of a shard are spread over them',
  }),
  nodes: option(z.string().min(1).optional(), {
    what: 'the nodes of --driver static: a JSON file, {"cluster": "c1", "nodes": {"meta/node-1": "10.0.0.5:7201", ...}}',
    otherwise: 'none',
    why: 'another system may start processes; what is missing is told with its command line',
  }),
  faultProxy: option(z.boolean().default(false), {
    what: 'put a proxy between the nodes, so that "kvorum fault partition" and "delay" work; only on Linux, in a checkout',
    why: 'off, because every byte between nodes and to them goes through one more process',
  }),
})

export type Options = z.output<typeof schema>
export type OptionName = keyof Options

/** An option as the sources and --help see it. */
export interface OptionInfo extends OptionNotes {
  readonly name: OptionName
  readonly flag: string
  readonly variable: string
  readonly type: 'integer' | 'boolean' | 'string'
  /** In words. */
  readonly byDefault: string
  /** What a value must be, in words. */
  readonly range: string
}

const ENVIRONMENT_PREFIX = 'KVORUM_'

export const OPTIONS: readonly OptionInfo[] = describeAll()

function describeAll(): OptionInfo[] {
  const described = z.toJSONSchema(schema, { io: 'input' }).properties ?? {}
  return Object.entries(described).map(([name, property]) => {
    const one = property as unknown as OptionNotes & JsonProperty
    const kebab = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    return {
      name: name as OptionName,
      flag: `--${kebab}`,
      variable: ENVIRONMENT_PREFIX + kebab.replaceAll('-', '_').toUpperCase(),
      type: one.type,
      byDefault: one.otherwise ?? String(one.default),
      range: rangeOf(one),
      what: one.what,
      why: one.why,
      unit: one.unit,
    }
  })
}

interface JsonProperty {
  readonly type: OptionInfo['type']
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly enum?: readonly string[]
}

function rangeOf({ type, minimum, maximum, enum: words }: JsonProperty): string {
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`
  if (type === 'boolean') return 'true or false'
  return words === undefined ? 'a text that is not empty' : `one of ${words.join(', ')}`
}
