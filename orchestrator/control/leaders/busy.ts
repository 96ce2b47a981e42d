import type { OperationRecord } from '../operations/record.js'
import { isOver } from '../operations/record-fields.js'

// Pure: which groups an operation needs to be led by whom they are led by. A handover under it would be no harm, but work for nothing:
// an import breaks and is done again, and a restart meets the leader where it was not expected.

/** Groups that an operation is at work on now. */
export function busyGroups(operations: readonly OperationRecord[]): Set<number> {
  return new Set(operations.filter((one) => !isOver(one)).flatMap(underWay))
}

/** Groups that it is at work on, or will come to by itself. */
export function claimedGroups(operations: readonly OperationRecord[]): Set<number> {
  const claimed = busyGroups(operations)
  for (const one of operations) {
    if (isOver(one) || one.paused || one.kind !== 'rolling') continue
    for (const { shard } of one.nodes) claimed.add(shard)
  }
  return claimed
}

function underWay(record: OperationRecord): number[] {
  switch (record.kind) {
    case 'reshard':
      return record.moves.flatMap(({ state, from, to }) => (state === 'running' ? [from, to] : []))
    case 'rolling':
      return record.nodes.flatMap(({ state, shard }) => (state === 'running' ? [shard] : []))
    case 'replicas':
      return record.changes.flatMap(({ state, shard }) => (state === 'running' ? [shard] : []))
    case 'replace':
      return [record.shard]
    // It asks whoever leads.
    case 'delete-prefix':
    // It has ended.
    case 'unknown':
      return []
  }
}
