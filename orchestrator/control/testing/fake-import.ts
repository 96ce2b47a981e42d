import { once } from 'node:events'
import { UnavailableError } from '../../errors/index.js'
import type { ImportOrder } from '../../wire/node-admin.js'
import { ImportPhase, type ImportResponse, MoveStep } from '../../wire/node-admin.js'
import { expectOneOwner, type FakePartitions } from './fake-partitions.js'

/** How imports go wrong. */
export interface ImportFaults {
  /** The stream breaks when this phase has been reached, once each. */
  readonly breaks: ImportPhase[]
  /** The receiver's leader stops for good when it has told of this phase, and its connections stay; once each. */
  readonly stalls: ImportPhase[]
  /** Whether the receiver goes on with an import that nobody listens to any more. */
  outlives: boolean
  /** The giver's freeze is over before it is asked to release, so many times. */
  thaws: number
}

/** What the receiver's leader does, between the state machines of two shards. */
export async function* fakeImport(
  { epoch, partitions }: ImportOrder,
  giver: FakePartitions,
  receiver: FakePartitions,
  faults: ImportFaults,
  all: () => readonly FakePartitions[],
  signal: AbortSignal,
): AsyncGenerator<ImportResponse> {
  const steps: readonly [ImportPhase, () => void][] = [
    [ImportPhase.COPYING, () => receiver.step(MoveStep.IMPORT, epoch, partitions)],
    [ImportPhase.CAUGHT_UP, () => {}],
    [ImportPhase.FROZEN, () => giver.step(MoveStep.FREEZE, epoch, partitions)],
    [
      ImportPhase.RELEASED,
      () => {
        receiver.complete(epoch, partitions, giver)
        if (faults.thaws-- > 0) giver.step(MoveStep.THAW, epoch, partitions)
        giver.step(MoveStep.RELEASE, epoch, partitions)
      },
    ],
    [ImportPhase.ACTIVE, () => receiver.step(MoveStep.ACTIVATE, epoch, partitions)],
  ]
  const pending = [...steps]
  try {
    while (pending.length > 0) {
      const [phase, effect] = pending.shift() ?? steps[0] ?? []
      effect?.()
      expectOneOwner(all())
      const broken = faults.breaks.indexOf(phase ?? 0)
      if (broken >= 0) {
        faults.breaks.splice(broken, 1)
        throw new UnavailableError('the stream broke', { outcome: 'unknown' })
      }
      yield { phase: phase ?? 0, records: 7n, bytes: 70n, pauseUs: 700n }
      const stalled = faults.stalls.indexOf(phase ?? 0)
      if (stalled >= 0 && !signal.aborted) {
        faults.stalls.splice(stalled, 1)
        await once(signal, 'abort')
      }
      if (signal.aborted) return
    }
  } finally {
    if (faults.outlives && pending.length > 0) goOn(pending, all)
  }
}

/** Whoever asked is gone. What is refused now is what it has been fenced off from. */
function goOn(pending: [ImportPhase, () => void][], all: () => readonly FakePartitions[]): void {
  setImmediate(() => {
    try {
      pending.shift()?.[1]()
    } catch {
      return
    }
    expectOneOwner(all())
    if (pending.length > 0) goOn(pending, all)
  })
}
