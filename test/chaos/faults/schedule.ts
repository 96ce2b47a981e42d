// What is to go wrong when: drawn from a seed, written as JSON, replayed exactly.
import { z } from 'zod'
import type { FaultKind, FaultPlan, ScheduledFault, Shape } from './fault.js'
import { Random } from './random.js'

/** Nothing fails at the beginning of a round: what is measured then is what failures are compared with. */
export const CALM_MS = 2_000
/** A fault counts as going on so long after its end: processes start again, leaders are elected. */
const RECOVERY_MS = 2_500
const RECOVERY_DATA_MS = 6_000
/** Of the times that faults strike: one alone, else two. Those that are alone give the figures. */
const ALONE_SHARE = 0.55
const BETWEEN_MS = { min: 50, max: 900 }
/** The last fault has ended so long before the end of a round. */
const END_MS = 500
const TRIES_MAX = 20

export interface Draw {
  readonly kinds: readonly FaultKind[]
  readonly shape: Shape
  readonly roundMs: number
}

interface Busy {
  readonly plan: FaultPlan
  readonly takes: FaultKind['takes']
  readonly to: number
}

export function drawRound({ kinds, shape, roundMs }: Draw, random: Random): ScheduledFault[] {
  const drawn: ScheduledFault[] = []
  const busy: Busy[] = []
  let at = CALM_MS
  let joins = false
  for (let tries = 0; tries < TRIES_MAX; ) {
    const kind = random.pick(kinds)
    const plan = kind.draw(shape, random)
    const alone = random.chance(ALONE_SHARE)
    const gap = random.between(BETWEEN_MS.min, BETWEEN_MS.max)
    const one = { plan, takes: kind.takes }
    const inItsWay = busy.filter((other) => !joins || conflict(one, other)).map(({ to }) => to)
    const begin = Math.max(at, ...inItsWay) + gap
    if (begin + plan.forMs > roundMs - END_MS) {
      tries++
      continue
    }
    at = begin
    drawn.push({ atMs: begin, plan })
    busy.push({ ...one, to: begin + plan.forMs + (kind.takes === 'data' ? RECOVERY_DATA_MS : RECOVERY_MS) })
    // The second one of two is followed by none.
    joins = !joins && !alone
  }
  return drawn
}

/** Two that strike the same shard and take a copy of it away, or two that end the orchestrator, are never at once. */
function conflict(one: Omit<Busy, 'to'>, other: Omit<Busy, 'to'>): boolean {
  const [a, b] = [one.plan.target, other.plan.target]
  if (a.of === 'everything' || b.of === 'everything') return true
  if (a.of === 'orchestrator' && b.of === 'orchestrator') return true
  if (one.takes !== 'data' && other.takes !== 'data') return false
  return !('shard' in a) || !('shard' in b) || a.shard === b.shard
}

const shard = z.int().min(0)
const target = z.discriminatedUnion('of', [
  z.strictObject({ of: z.literal('node'), shard, index: z.int().min(1) }),
  z.strictObject({ of: z.literal('leader'), shard }),
  z.strictObject({ of: z.literal('follower'), shard }),
  z.strictObject({ of: z.literal('shard'), shard }),
  z.strictObject({ of: z.literal('orchestrator') }),
  z.strictObject({ of: z.literal('nodes') }),
  z.strictObject({ of: z.literal('everything') }),
])
const plan = z.strictObject({
  kind: z.string(),
  target,
  forMs: z.number().min(0),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
})
const schedule = z.strictObject({
  format: z.literal('kvorum-schedule'),
  version: z.literal(1),
  seed: z.number(),
  shape: z.strictObject({ shards: z.int().min(1), replicas: z.int().min(1) }),
  roundMs: z.number().positive(),
  rounds: z.array(z.array(z.strictObject({ atMs: z.number().min(0), plan }))),
})

/** What a run has drawn so far. */
export interface Schedule {
  readonly seed: number
  readonly shape: Shape
  readonly roundMs: number
  readonly rounds: readonly (readonly ScheduledFault[])[]
}

export function writeSchedule({ seed, shape, roundMs, rounds }: Schedule): string {
  const head = { format: 'kvorum-schedule', version: 1, seed, shape, roundMs }
  return `${JSON.stringify({ ...head, rounds }, null, 1)}\n`
}

/** So many of its faults are told. */
const TOLD_MAX = 10

/** Throws a TypeError with a line for each thing that is wrong with it. `kinds`: the names that there are. */
export function readSchedule(text: string, kinds: readonly string[]): Schedule {
  const found = schedule.safeParse(parsed(text))
  const lines = found.success
    ? impossible(found.data, kinds)
    : found.error.issues.map(({ path, message }) => `${z.core.toDotPath(path)}: ${message}`)
  if (found.success && lines.length === 0) return found.data
  const more = lines.length > TOLD_MAX ? [`and ${lines.length - TOLD_MAX} more`] : []
  throw new TypeError([...lines.slice(0, TOLD_MAX), ...more].map((line) => `not a schedule: ${line}`).join('\n'))
}

/** Kinds that nobody knows, and targets that its cluster would not have. */
function impossible({ shape, rounds }: Schedule, kinds: readonly string[]): string[] {
  return rounds.flatMap((faults, round) =>
    faults.flatMap(({ plan: { kind, target } }, at) => {
      const where = `rounds[${round}][${at}].plan`
      const wrong = kinds.includes(kind) ? [] : [`${where}.kind: no fault is called ${JSON.stringify(kind)}`]
      if ('shard' in target && target.shard > shape.shards) {
        wrong.push(`${where}.target.shard: ${target.shard}, of ${shape.shards}`)
      }
      if (target.of === 'node' && target.index > shape.replicas) {
        wrong.push(`${where}.target.index: ${target.index}, of ${shape.replicas}`)
      }
      return wrong
    }),
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new TypeError(`not a schedule: it is no JSON: ${(error as Error).message}`, { cause: error })
  }
}

/** What draws the faults of a round of this run, and nothing else. */
export function randomOf(seed: number, round: number): Random {
  let random = new Random(seed)
  for (let i = 0; i < round; i++) random = random.fork()
  return random
}
