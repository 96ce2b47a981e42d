import { bytesInJson } from '../core/bytes-json.js'
import {
  type KeysProgress,
  MoveState,
  type Operation,
  OperationState,
  type PlannedMove,
  StepState,
} from '../wire/control.js'
import { textTable } from './text-table.js'
import { counted } from './words.js'

/** An operation as `--json` prints it: stable, for programs. */
export interface OperationView {
  readonly id: string
  /** reshard, replicas, replace, rolling, delete-prefix; unknown: it was of a later version, and has ended. */
  readonly kind: string
  readonly what: string
  /** running, paused, cancelling, done, cancelled. */
  readonly state: string
  /** Ms since 1970; null: not yet. */
  readonly begunAt: number | null
  readonly endedAt: number | null
  readonly detail: string
  /** Of what is to be moved, and of what has been. */
  readonly partitions: { readonly moved: number; readonly total: number }
  readonly moves: readonly MoveView[]
  /** Of a kind that moves no partitions. */
  readonly steps: readonly StepView[]
  /** Of a kind that works on keys; null: of none. */
  readonly keys: KeysView | null
}

interface KeysView {
  /** A text, or base64 for what is none. */
  readonly prefix: string | { readonly base64: string }
  /** How many there were; null: nobody knows. */
  readonly total: number | null
  readonly deleted: number
  /** Written meanwhile, and left alone. */
  readonly passed: number
}

interface StepView {
  readonly what: string
  /** waiting, running, done, skipped: then the detail says why. */
  readonly state: string
  readonly detail: string
}

interface MoveView {
  readonly from: number
  readonly to: number
  readonly partitions: readonly { readonly first: number; readonly last: number }[]
  /** waiting, running, done. */
  readonly state: string
  readonly records: number
  readonly bytes: number
  readonly pauseUs: number
  readonly attempts: number
}

const STATES: Readonly<Record<OperationState, string>> = {
  [OperationState.UNSPECIFIED]: 'unknown',
  [OperationState.RUNNING]: 'running',
  [OperationState.PAUSED]: 'paused',
  [OperationState.CANCELLING]: 'cancelling',
  [OperationState.DONE]: 'done',
  [OperationState.CANCELLED]: 'cancelled',
}

const MOVE_STATES: Readonly<Record<MoveState, string>> = {
  [MoveState.UNSPECIFIED]: 'unknown',
  [MoveState.WAITING]: 'waiting',
  [MoveState.RUNNING]: 'running',
  [MoveState.DONE]: 'done',
}

const STEP_STATES: Readonly<Record<StepState, string>> = {
  [StepState.UNSPECIFIED]: 'unknown',
  [StepState.WAITING]: 'waiting',
  [StepState.RUNNING]: 'running',
  [StepState.DONE]: 'done',
  [StepState.SKIPPED]: 'skipped',
}

export function viewOf(operation: Operation): OperationView {
  const { id, kind, what, state, begunAt, endedAt, detail, moves, steps, keys } = operation
  const count = (some: readonly PlannedMove[]) => some.reduce((sum, move) => sum + sizeOf(move), 0)
  return {
    id,
    kind,
    what,
    state: STATES[state],
    begunAt: begunAt === 0n ? null : Number(begunAt),
    endedAt: endedAt === 0n ? null : Number(endedAt),
    detail,
    partitions: { moved: count(moves.filter((move) => move.state === MoveState.DONE)), total: count(moves) },
    moves: moves.map(moveView),
    steps: steps.map((step) => ({ what: step.what, state: STEP_STATES[step.state], detail: step.detail })),
    keys: keys === undefined ? null : keysView(keys),
  }
}

function keysView({ prefix, total, deleted, passed }: KeysProgress): KeysView {
  return {
    prefix: bytesInJson(prefix),
    total: total === undefined ? null : Number(total),
    deleted: Number(deleted),
    passed: Number(passed),
  }
}

function moveView(move: PlannedMove): MoveView {
  return {
    from: move.fromShard,
    to: move.toShard,
    partitions: move.partitions.map(({ first, last }) => ({ first, last })),
    state: MOVE_STATES[move.state],
    records: Number(move.records),
    bytes: Number(move.bytes),
    pauseUs: Number(move.pauseUs),
    attempts: move.attempts,
  }
}

export function hasEnded({ state }: OperationView): boolean {
  return state === 'done' || state === 'cancelled'
}

/** Whether it has paused by itself and says why; behind a step that a person waits for, one is still running. */
export function isStuck({ state, detail, steps }: OperationView): boolean {
  return state === 'paused' && detail !== '' && steps.length > 0 && steps.every((step) => step.state !== 'running')
}

/** How much of it is done: in partitions or keys, or in steps where there are none. A total of keys is 0 when nobody knows it. */
export function amountOf({ kind, partitions, steps, keys }: OperationView): Amount {
  if (keys !== null) {
    const done = keys.deleted + keys.passed
    // There may be more by now.
    return { done, total: keys.total === null ? 0 : Math.max(keys.total, done), unit: 'keys' }
  }
  if (kind === 'reshard') return { done: partitions.moved, total: partitions.total, unit: 'partitions' }
  return { done: steps.filter(({ state }) => state === 'done').length, total: steps.length, unit: 'steps' }
}

/** What it has gone on without. */
export function skippedIn({ steps }: OperationView): readonly StepView[] {
  return steps.filter(({ state }) => state === 'skipped')
}

interface Amount {
  readonly done: number
  readonly total: number
  readonly unit: 'partitions' | 'steps' | 'keys'
}

/** The same in words. */
export function amountText(view: OperationView): string {
  if (view.keys !== null) return keysText(view.keys, view.state)
  if (view.kind === 'unknown') return 'not known here'
  const { done, total, unit } = amountOf(view)
  const skipped = skippedIn(view).length
  if (total > 0) return `${done} of ${total} ${unit}${skipped === 0 ? '' : `, ${skipped} skipped`}`
  return view.state.startsWith('cancel') ? 'nothing to take back' : 'nothing to do'
}

/** The total are those that there were when it began: no share of them is told when there were others. */
function keysText({ deleted, passed, total }: KeysView, state: string): string {
  const isShare = state !== 'done' && total !== null && deleted + passed <= total
  const what = isShare ? `${deleted.toLocaleString('en-US')} of ${countedKeys(total)}` : counted(deleted, 'key')
  return `${what} deleted${passed === 0 ? '' : `, ${passed.toLocaleString('en-US')} written since and left`}`
}

/** What a total of keys counts. */
export function countedKeys(total: number): string {
  return counted(total, 'counted key')
}

/** How many there are, and how many there would be. */
export interface Processes {
  readonly now: number
  readonly after: number
}

function sizeOf({ partitions }: Pick<MoveView, 'partitions'>): number {
  return partitions.reduce((sum, { first, last }) => sum + last - first + 1, 0)
}

/** What a dry run says: who gives whom how much, or which steps there would be. */
export function planText({ what, partitions, moves, steps, detail }: OperationView, { now, after }: Processes): string {
  const risks = detail === '' ? '' : `; mind that ${detail}`
  const end = `${after} processes instead of ${now}; nothing was done${risks}`
  if (steps.length > 0) return `${[...steps.map((step) => step.what), `${what}: ${end}`].join('\n')}\n`
  const pairs = new Map<string, { from: number; to: number; partitions: number; moves: number }>()
  for (const move of moves) {
    const key = `${move.from} ${move.to}`
    const pair = pairs.get(key) ?? { from: move.from, to: move.to, partitions: 0, moves: 0 }
    pairs.set(key, { ...pair, partitions: pair.partitions + sizeOf(move), moves: pair.moves + 1 })
  }
  const rows = [...pairs.values()].map((pair) => [pair.from, pair.to, pair.partitions, pair.moves])
  const table = textTable(['from', 'to', 'partitions', 'moves'], [rows])
  return `${table}\n${what}: ${partitions.total} partitions would move, in ${moves.length} moves; ${end}\n`
}

/** A row each, newest first. */
export function operationsText(views: readonly OperationView[], now: number): string {
  if (views.length === 0) return 'no operations\n'
  const rows = views.map((view) => {
    const { id, what, state, begunAt, endedAt } = view
    const took = begunAt === null ? '' : spanOf((endedAt ?? now) - begunAt)
    return [id, what, state, amountText(view), took]
  })
  const details = views.filter(({ detail }) => detail !== '').map(({ id, detail }) => `${id}: ${detail}\n`)
  return `${textTable(['id', 'what', 'state', 'done', 'took'], [rows])}\n${details.join('')}`
}

/** One operation in full: each of its moves, or steps. */
export function operationText(view: OperationView, now: number): string {
  const { id, kind, what, state, begunAt, endedAt, detail, moves, steps } = view
  const took = begunAt === null ? '' : `, ${endedAt === null ? 'for' : 'took'} ${spanOf((endedAt ?? now) - begunAt)}`
  const lines = [`operation ${id} (${kind}): ${what}`, `${state}: ${amountText(view)}${took}`]
  if (detail !== '') lines.push(detail)
  if (moves.length + steps.length === 0) return `${lines.join('\n')}\n`
  const head = moves.length > 0 ? ['from', 'to', 'partitions', 'state', 'size', 'tries'] : ['step', 'state', '']
  const moveRows = moves.map((move) => {
    const ranges = move.partitions.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
    const shards = [`shard-${move.from}`, `shard-${move.to}`]
    return [...shards, ranges.join(' '), move.state, sizeText(move.bytes), move.attempts]
  })
  const stepRows = steps.map((step) => [step.what, step.state, step.detail])
  return `${[lines[0], textTable(head, [[...moveRows, ...stepRows]]), ...lines.slice(1)].join('\n')}\n`
}

/** "4 s", "3 min 20 s", "2 h 5 min" */
export function spanOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`
}

/** "512 B", "3.4 MiB" */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`
}
