import { z } from 'zod'
import type { Clock } from '../../core/clock.js'
import { invalidArgument, PreconditionFailedError, UnavailableError } from '../../errors/index.js'
import {
  type ControlHandlers,
  MoveState,
  type Operation,
  OperationState,
  Steer,
  StepState,
} from '../../wire/control.js'
import { ImportPhase, type ImportResponse } from '../../wire/node-admin.js'
import { StartFault } from '../faults.js'
import type { Programs } from '../programs.js'
import type { OperationView } from './carrier.js'
import { deletePrefixProgress, wishForDeletion } from './delete-prefix.js'
import { kindOf } from './kinds.js'
import type { Operations, SteerHow } from './operations.js'
import type { OperationRecord } from './record.js'
import { wishForReplacement } from './replace.js'
import { wishForReplicas } from './replicas.js'
import { REPLICAS_MAX } from './replicas-record.js'
import { wishForShards } from './reshard.js'
import { type MoveRecord, SHARDS_MAX } from './reshard-record.js'
import { wishForProgram, wishForRestart } from './rolling.js'

/** How long a caller waits for meta. The operations themselves wait for ever. */
export const PATIENCE_MS = 4_000

interface Limit {
  readonly clock: Clock
  readonly ms: number
}

const shardsSchema = z.int().min(1).max(SHARDS_MAX)
const nodeSchema = z.string().regex(/^(?:meta|shard-\d{1,5})\/node-\d{1,5}$/)
const replicasSchema = z.int().min(1).max(REPLICAS_MAX)
const idSchema = z.string().min(1).max(64)
const steers: ReadonlyMap<Steer, SteerHow> = new Map([
  [Steer.PAUSE, 'pause'],
  [Steer.RESUME, 'resume'],
  [Steer.CANCEL, 'cancel'],
])

/** What of control.v1 is about operations. */
export function operationHandlers(
  operations: Operations,
  programs: Programs,
  clock: Clock,
  patienceMs = PATIENCE_MS,
): Omit<ControlHandlers, 'status' | 'drain'> {
  const limit: Limit = { clock, ms: patienceMs }
  return {
    scale: async (shards, dryRun) => {
      const wanted = expectValid(shardsSchema, shards, `the number of shards must be from 1 to ${SHARDS_MAX}`)
      const wish = wishForShards(wanted)
      if (dryRun) return toWire(await operations.plan(wish))
      return toWire(await patiently(limit, (signal) => operations.begin(wish, signal)))
    },
    restart: async (node) => {
      const name = node === '' ? undefined : expectValid(nodeSchema, node, NODE_WANTED)
      return toWire(await patiently(limit, (signal) => operations.begin(wishForRestart(name), signal)))
    },
    upgrade: (program) =>
      // Not within the patience for meta: a copy takes as long as the disk does.
      inWords(async () => {
        const taken = await programs.takeIn(program === '' ? programs.own : program)
        return toWire(await patiently(limit, (signal) => operations.begin(wishForProgram(taken), signal)))
      }),
    replicas: async (replicas, dryRun) => {
      const wanted = expectValid(replicasSchema, replicas, `the number of replicas must be from 1 to ${REPLICAS_MAX}`)
      const wish = wishForReplicas(wanted)
      if (dryRun) return toWire(await operations.plan(wish))
      return toWire(await patiently(limit, (signal) => operations.begin(wish, signal)))
    },
    replaceNode: async (node) => {
      const wish = wishForReplacement(expectValid(idSchema, node, NODE_WANTED))
      return toWire(await patiently(limit, (signal) => operations.begin(wish, signal)))
    },
    deletePrefix: async (prefix, all) =>
      toWire(await patiently(limit, async (signal) => operations.begin(wishForDeletion(prefix, all), signal))),
    operations: async () => (await patiently(limit, (signal) => operations.list(signal))).map(toWire),
    watch: async function* (id, signal) {
      const valid = expectValid(idSchema, id, ID_WANTED)
      // The first look only: what is watched may take hours.
      const { timer, impatient } = patience(limit)
      try {
        for await (const view of operations.watch(valid, impatient.signal, signal)) yield toWire(view)
      } finally {
        timer.cancel()
      }
    },
    steer: async (id, steer) => {
      const valid = expectValid(idSchema, id, ID_WANTED)
      const how = steers.get(steer)
      if (how === undefined) throw invalidArgument('an operation can be paused, resumed or cancelled')
      return toWire(await patiently(limit, (signal) => operations.steer(valid, how, signal)))
    },
  }
}

const NODE_WANTED = 'a node is named as kvorum status shows it, like shard-1/node-2, or by its id'
const ID_WANTED = 'an operation is named by its id, as kvorum operations shows it'

/** Gives up when meta has not answered for so long; what is asked for then may happen still. */
export async function patiently<T>(limit: Limit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { timer, impatient } = patience(limit)
  try {
    return await inWords(() => work(impatient.signal))
  } finally {
    timer.cancel()
  }
}

/** What a person can do something about is no fault of ours. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StartFault) throw new PreconditionFailedError(error.message, { outcome: 'not-applied' })
    throw error
  }
}

function patience({ clock, ms }: Limit) {
  const impatient = new AbortController()
  const why = 'meta, which has the operations, does not answer'
  const end = () => impatient.abort(new UnavailableError(why, { outcome: 'unknown' }))
  return { impatient, timer: clock.setTimeout(end, ms) }
}

function expectValid<T>(schema: z.ZodType<T>, value: unknown, wanted: string): T {
  const checked = schema.safeParse(value)
  if (checked.success) return checked.data
  throw invalidArgument(`${wanted}, and not ${JSON.stringify(value)}`)
}

export function toWire({ record, detail, progress, keys }: OperationView): Operation {
  const { id, kind, begunAt, endedAt } = record
  const moves = record.kind === 'reshard' ? record.moves : []
  return {
    id,
    kind,
    what: kindOf(record).describe(record),
    state: stateOf(record),
    begunAt: BigInt(begunAt),
    endedAt: BigInt(endedAt),
    moves: moves.map((move) => moveToWire(move, progress)),
    steps: kindOf(record)
      .steps(record)
      .map((step) => ({ ...step, state: STEP_STATES[step.state] })),
    detail:
      progress === undefined
        ? detail || (kindOf(record).trouble?.(record) ?? '')
        : `${detail}: ${PHASES[progress.phase]}`,
    keys: record.kind === 'delete-prefix' ? deletePrefixProgress(record, keys) : undefined,
  }
}

function stateOf({ state, paused }: OperationRecord): OperationState {
  if (state === 'done') return OperationState.DONE
  if (state === 'cancelled') return OperationState.CANCELLED
  if (paused) return OperationState.PAUSED
  return state === 'cancelling' ? OperationState.CANCELLING : OperationState.RUNNING
}

const STEP_STATES = {
  waiting: StepState.WAITING,
  running: StepState.RUNNING,
  done: StepState.DONE,
  skipped: StepState.SKIPPED,
} as const

const PHASES: Readonly<Record<ImportPhase, string>> = {
  [ImportPhase.UNSPECIFIED]: 'begun',
  [ImportPhase.COPYING]: 'copying',
  [ImportPhase.CAUGHT_UP]: 'caught up',
  [ImportPhase.FROZEN]: 'writes wait',
  [ImportPhase.RELEASED]: 'handed over',
  [ImportPhase.ACTIVE]: 'done',
}

const MOVE_STATES = { waiting: MoveState.WAITING, running: MoveState.RUNNING, done: MoveState.DONE } as const

function moveToWire(move: MoveRecord, progress: ImportResponse | undefined) {
  const { from, to, partitions, state, attempts } = move
  const live = state === 'running' ? progress : undefined
  return {
    fromShard: from,
    toShard: to,
    partitions: partitions.map(({ first, last }) => ({ first, last })),
    state: MOVE_STATES[state],
    records: live?.records ?? BigInt(move.records),
    bytes: live?.bytes ?? BigInt(move.bytes),
    pauseUs: BigInt(move.pauseUs),
    attempts,
  }
}
