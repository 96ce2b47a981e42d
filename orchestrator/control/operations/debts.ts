import type { Clock } from '../../core/clock.js'
import { PreconditionFailedError, UnavailableError } from '../../errors/index.js'
import { MoveStep } from '../../wire/node-admin.js'
import type { Fleet } from '../fleet.js'
import type { Group } from '../group.js'
import type { NodeLink } from '../links.js'
import { Rounds } from '../rounds.js'
import { askLeader, linkOf } from './ask.js'
import type { Journal } from './journal.js'
import type { Debt } from './reshard-record.js'

// What an attempt that was thawed has left at its receiver is of no use to anybody, however late it is dropped: ACTIVATE
// follows only a RELEASE of its epoch, which the giver's log refuses for ever after the THAW. So nobody has to wait for a
// receiver that may be gone for good. It takes no partition again before it has dropped what it has of it: an import in
// another epoch needs `none`.

export interface DebtsTools {
  readonly journal: Journal
  readonly fleet: Fleet
  readonly clock: Clock
}

const RETRY_MS = 1_000

/** Has receivers drop what they owe, whenever they can be had. */
export class Debts {
  readonly #rounds: Rounds

  constructor(private readonly tools: DebtsTools) {
    // A receiver may be away for days: that is its group's to tell.
    const failed = () => {}
    this.#rounds = new Rounds({ work: (signal) => this.#look(signal), failed, pauseMs: RETRY_MS, clock: tools.clock })
  }

  ask(): void {
    this.#rounds.ask()
  }

  async close(): Promise<void> {
    await this.#rounds.close()
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { journal } = this.tools
    await journal.load(signal)
    const outcomes = await Promise.allSettled(journal.debts.map((debt) => this.#pay(debt, signal)))
    const failure = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failure !== undefined) throw failure.reason
  }

  async #pay(debt: Debt, signal: AbortSignal): Promise<void> {
    const { journal, fleet } = this.tools
    const receiver = fleet.shards.find(({ shard }) => shard === debt.shard)
    if (receiver !== undefined) {
      if (!receiver.isReady) throw new UnavailableError(`${receiver.name} has no leader`, { outcome: 'not-applied' })
      await discard(debt, linkOf(receiver))
    }
    await journal.forgive(debt, signal)
  }
}

/** Waits until a receiver owes nothing. */
export async function payDebts(receiver: Group, journal: Journal, clock: Clock, signal: AbortSignal): Promise<void> {
  for (const debt of journal.debts.filter(({ shard }) => shard === receiver.shard)) {
    await askLeader(receiver, (admin) => discard(debt, admin), clock, signal)
    await journal.forgive(debt, signal)
  }
}

/** Rejects as long as something of the attempt may be there. */
async function discard({ epoch, partitions }: Debt, admin: NodeLink): Promise<void> {
  try {
    await admin.move(MoveStep.DISCARD, BigInt(epoch), partitions)
  } catch (error) {
    // Later ones have been there since: they found nothing of it. A smaller epoch: an earlier one is being swept still.
    if (error instanceof PreconditionFailedError && (error.epoch ?? 0n) > BigInt(epoch)) return
    throw error
  }
}
