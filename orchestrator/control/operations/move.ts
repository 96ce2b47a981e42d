import { type Clock, sleep } from '../../core/clock.js'
import {
  CancelledError,
  InternalError,
  KvError,
  PreconditionFailedError,
  UnavailableError,
} from '../../errors/index.js'
import {
  ImportPhase,
  type ImportResponse,
  MoveStep,
  type PartitionReport,
  PartitionState,
} from '../../wire/node-admin.js'
import type { Group } from '../group.js'
import { numbersOf } from '../map-changes.js'
import { afterDeposed, askLeader, linkOf } from './ask.js'
import type { MoveRecord } from './reshard-record.js'

// One attempt of one move, as node-go/move/DESIGN.md has it: the receiver's leader does it, and what became of an attempt
// that broke is found out here. Nothing is remembered: every call may be made twice, by whoever comes next.

/** Everything that a move needs to know of its two shards. */
export interface MoveParts {
  readonly move: MoveRecord
  readonly epoch: bigint
  readonly giver: Group
  readonly receiver: Group
  readonly clock: Clock
}

const LOOK_EVERY_MS = 100

/** Waits until nothing of the partitions is left at the receiver from before: it takes them only then. */
export async function awaitSwept(
  { move, receiver, clock }: Omit<MoveParts, 'epoch'>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const rows = rowsOf(await askLeader(receiver, (admin) => admin.partitions(), clock, signal), move)
    if (rows.every((row) => row === undefined || row.state === PartitionState.NONE)) return
    const owned = rows.find((row) => row?.state === PartitionState.OWNED || row?.state === PartitionState.FROZEN)
    if (owned !== undefined) {
      throw new InternalError(`${receiver.name} owns partitions that the map gives to shard ${move.from}`, {
        outcome: 'not-applied',
      })
    }
    await sleep(clock, LOOK_EVERY_MS, signal)
  }
}

/**
 * Has the receiver take the partitions over, and passes on what it says. Gives its last word if that was that it has them.
 * Else it says why not, and nobody knows how far it came.
 */
export async function runImport(
  { move, epoch, giver, receiver }: MoveParts,
  heard: (progress: ImportResponse) => void,
  signal: AbortSignal,
): Promise<ImportResponse | KvError> {
  let last: ImportResponse | undefined
  const over = new AbortController()
  const deposed = new AbortController()
  try {
    await receiver.until(() => receiver.isReady, signal)
    const order = { epoch, partitions: move.partitions, fromShard: move.from, from: giver.members ?? [] }
    const stream = linkOf(receiver).importPartitions(order, AbortSignal.any([signal, deposed.signal]))
    // An import goes with the leadership. A leader that has stopped keeps its connections, so that the stream does not say
    // so; and if the giver has released already, nobody serves the partitions until somebody looks.
    afterDeposed(receiver, over.signal).then(
      () => deposed.abort(),
      // Over, and it has not been.
      () => {},
    )
    for await (const progress of stream) {
      last = progress
      heard(progress)
    }
  } catch (error) {
    if (!(error instanceof KvError) && !signal.aborted) throw error
    if (last?.phase !== ImportPhase.ACTIVE && error instanceof KvError) return error
  } finally {
    over.abort()
  }
  if (last?.phase === ImportPhase.ACTIVE) return last
  if (signal.aborted) return new CancelledError('the import was called off', { outcome: 'unknown' })
  if (deposed.signal.aborted) return new UnavailableError('the receiver has another leader', { outcome: 'unknown' })
  return new InternalError('the import ended without a word on why', { outcome: 'unknown' })
}

/**
 * Finds out what became of an attempt. THAW is what decides, an entry of the giver's log: accepted, the giver owns the
 * partitions and this epoch cannot release them any more; what is left at the receiver is of no use, and has to be dropped
 * (debts.ts). Refused because they are released, the receiver has everything, and owns them from here on.
 */
export async function settle(parts: MoveParts, signal: AbortSignal): Promise<'moved' | 'not moved'> {
  if (await isThawed(parts, signal)) return 'not moved'
  const { move, epoch, receiver, clock } = parts
  await askLeader(receiver, (admin) => admin.move(MoveStep.ACTIVATE, epoch, move.partitions), clock, signal)
  return 'moved'
}

async function isThawed({ move, epoch, giver, clock }: MoveParts, signal: AbortSignal): Promise<boolean> {
  try {
    await askLeader(giver, (admin) => admin.move(MoveStep.THAW, epoch, move.partitions), clock, signal)
    return true
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error
    const rows = rowsOf(await askLeader(giver, (admin) => admin.partitions(), clock, signal), move)
    // Swept is released as well, some time ago.
    const gone: readonly unknown[] = [PartitionState.RELEASED, PartitionState.NONE]
    if (rows.every((row) => row?.epoch === epoch && gone.includes(row.state))) return false
    throw error
  }
}

/** What a shard says of each partition of the move. */
function rowsOf(reports: readonly PartitionReport[], { partitions }: MoveRecord): (PartitionReport | undefined)[] {
  return numbersOf(partitions).map((number) => reports.find(({ first, last }) => first <= number && number <= last))
}
