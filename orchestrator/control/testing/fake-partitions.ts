import { PARTITIONS } from '../../core/slot.js'
import { PreconditionFailedError } from '../../errors/index.js'
import { MoveStep, type PartitionReport, PartitionState } from '../../wire/node-admin.js'
import { numbersOf } from '../map-changes.js'
import type { Range } from '../placement.js'

interface Row {
  state: PartitionState
  epoch: bigint
  /** Whether everything that was ever written to the partition is here. */
  whole: boolean
}

const { NONE, OWNED, FROZEN, IMPORTING, IMPORTED, RELEASED } = PartitionState

interface Rule {
  /** From which state a row with a smaller epoch goes on. */
  readonly begins?: readonly PartitionState[]
  /** From which state a row with this very epoch goes on. */
  readonly goesOn?: readonly PartitionState[]
  /** In which states of this very epoch it has been done. */
  readonly done: readonly PartitionState[]
  readonly to: (from: PartitionState) => PartitionState
}

/** The table of node-go/move/DESIGN.md. */
const RULES: Readonly<Record<number, Rule>> = {
  [MoveStep.IMPORT]: { begins: [NONE], done: [IMPORTING, IMPORTED, OWNED], to: () => IMPORTING },
  [MoveStep.FREEZE]: { begins: [OWNED], done: [FROZEN], to: () => FROZEN },
  [MoveStep.THAW]: { begins: [OWNED], goesOn: [FROZEN], done: [OWNED], to: () => OWNED },
  [MoveStep.RELEASE]: { goesOn: [FROZEN], done: [RELEASED, NONE], to: () => RELEASED },
  [MoveStep.ACTIVATE]: { goesOn: [IMPORTED], done: [OWNED], to: () => OWNED },
  [MoveStep.DISCARD]: {
    begins: [NONE],
    goesOn: [IMPORTING, IMPORTED],
    done: [RELEASED, NONE],
    to: (from) => (from === NONE ? NONE : RELEASED),
  },
}

/** What one shard's state machine knows of its partitions. */
export class FakePartitions {
  readonly rows: Row[] = Array.from({ length: PARTITIONS }, () => ({ state: NONE, epoch: 0n, whole: false }))
  #asked = 0

  assign(epoch: bigint, owned: readonly Range[]): void {
    for (const number of numbersOf(owned)) this.rows[number] = { state: OWNED, epoch, whole: true }
  }

  /** All of them or none. */
  step(step: MoveStep, epoch: bigint, partitions: readonly Range[]): void {
    const rule = RULES[step]
    const rows = numbersOf(partitions).flatMap((number) => this.rows[number] ?? [])
    if (rule === undefined) throw new TypeError(`no step ${step}`)
    if (rows.every((row) => row.epoch === epoch && rule.done.includes(row.state))) return
    const may = ({ state, epoch: at }: Row) =>
      at === epoch ? rule.goesOn?.includes(state) : at < epoch && rule.begins?.includes(state)
    const refused = rows.find((row) => !may(row))
    if (refused !== undefined) {
      const words = `step ${step} of epoch ${epoch}, but it is in state ${refused.state} of epoch ${refused.epoch}`
      throw new PreconditionFailedError(words, { outcome: 'not-applied' })
    }
    for (const row of rows) {
      row.state = rule.to(row.state)
      row.epoch = epoch
    }
  }

  /** Everything that the giver had when it was frozen. */
  complete(epoch: bigint, partitions: readonly Range[], giver: FakePartitions): void {
    for (const number of numbersOf(partitions)) {
      const [from, to] = [giver.rows[number], this.rows[number]]
      if (to?.state !== IMPORTING || to.epoch !== epoch || from?.state !== FROZEN || from.epoch !== epoch) {
        throw new PreconditionFailedError('not frozen, or not importing', { outcome: 'not-applied' })
      }
    }
    for (const number of numbersOf(partitions)) {
      this.rows[number] = { state: IMPORTED, epoch, whole: giver.rows[number]?.whole ?? false }
    }
  }

  /** As long as they are told of, partitions that were released are being swept; then they have been. */
  report(): PartitionReport[] {
    const reports = this.rows.flatMap(({ state, epoch }, number) =>
      state === NONE && epoch === 0n ? [] : [{ first: number, last: number, state, epoch }],
    )
    if (++this.#asked % 2 === 0) {
      for (const row of this.rows.filter(({ state }) => state === RELEASED)) {
        row.state = NONE
        row.whole = false
      }
    }
    return reports
  }
}

/** Throws unless nobody owns what somebody else owns as well. */
export function expectOneOwner(shards: readonly FakePartitions[]): void {
  for (let number = 0; number < PARTITIONS; number++) {
    const owners = shards.filter(({ rows }) => rows[number]?.state === OWNED || rows[number]?.state === FROZEN)
    if (owners.length > 1) throw new Error(`partition ${number} has ${owners.length} owners`)
  }
}
