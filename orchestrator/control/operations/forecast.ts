import type { NodePlace } from '../data-directory.js'
import { StartFault } from '../faults.js'
import type { Fleet } from '../fleet.js'
import { ELSEWHERE, type Placed, riskOf, THIS_MACHINE } from '../machines.js'
import { chooseLeaver } from './choose.js'
import type { OperationParts } from './kind.js'
import type { OperationRecord } from './record.js'
import { isOver } from './record-fields.js'
import { candidatesOf, nodesOn } from './replicas.js'
import type { ReplicaChange, ReplicasRecord } from './replicas-record.js'

/** What a plan would come to if it were carried out now. Nothing of it is written down: by then others may have to go. */
export interface Forecast {
  /** With the nodes that would come and go. */
  readonly record: OperationRecord
  /** What would be less safe than its replicas promise, or why it could not begin; empty: nothing. For people. */
  readonly risks: string
}

type Parts = Pick<OperationParts, 'fleet' | 'leaders'>

export async function forecast(planned: OperationRecord, { fleet, leaders }: Parts): Promise<Forecast> {
  if (isOver(planned)) return { record: planned, risks: '' }
  if (planned.kind === 'replicas') {
    const record = named(planned, { fleet, leaders })
    const risks = [
      ofReplicas(planned.toReplicas),
      await ofMachines(placesOf(record, 'add'), placesOf(record, 'remove'), fleet),
    ]
    return { record, risks: told(risks) }
  }
  if (planned.kind !== 'reshard') return { record: planned, risks: '' }
  return { record: planned, risks: told([await ofMachines(newShards(planned, fleet), [], fleet)]) }
}

function told(risks: readonly string[]): string {
  return risks.filter((risk) => risk !== '').join('; ')
}

/** Each change with the node that it would be about. */
function named(record: ReplicasRecord, { fleet, leaders }: Parts): ReplicasRecord {
  const last = new Map<number, number>()
  const gone = new Map<number, readonly number[]>()
  const indexOf = ({ shard, how }: ReplicaChange): number => {
    const group = fleet.shard(shard)
    if (how === 'add') return (last.get(shard) ?? group.record?.lastIndex ?? 0) + 1
    const left = candidatesOf(group, leaders).filter(({ index }) => !gone.get(shard)?.includes(index))
    return chooseLeaver(left, nodesOn(fleet))?.index ?? 0
  }
  const changes = record.changes.map((change) => {
    const index = indexOf(change)
    if (change.how === 'add') last.set(change.shard, index)
    else gone.set(change.shard, [...(gone.get(change.shard) ?? []), index])
    return { ...change, index }
  })
  return { ...record, changes }
}

function placesOf({ changes }: ReplicasRecord, wanted: 'add' | 'remove'): NodePlace[] {
  return changes.filter(({ how }) => how === wanted).map(({ shard, index }) => ({ shard, index }))
}

function newShards({ toShards }: { readonly toShards: number }, fleet: Fleet): NodePlace[] {
  const first = fleet.shards.length + 1
  return Array.from({ length: Math.max(0, toShards + 1 - first) }, (_, at) =>
    Array.from({ length: fleet.shape.replicas }, (__, node) => ({ shard: first + at, index: node + 1 })),
  ).flat()
}

function ofReplicas(replicas: number): string {
  if (replicas === 1) {
    return 'with 1 replica nothing has a second copy: a shard stops while its node does, and what it has is lost with that disk'
  }
  if (replicas % 2 === 1) return ''
  const lost = replicas / 2 - 1
  return `${replicas} replicas survive the loss of ${lost === 0 ? 'none' : lost}, as ${replicas - 1} ${replicas === 2 ? 'does' : 'do'}`
}

async function ofMachines(come: readonly NodePlace[], go: readonly NodePlace[], fleet: Fleet): Promise<string> {
  const isGone = (node: NodePlace) => go.some(({ shard, index }) => shard === node.shard && index === node.index)
  const there = fleet.all.flatMap(({ nodes }) => nodes.map(({ spec }) => spec)).filter((node) => !isGone(node))
  try {
    const { chosen, machines } = await fleet.foresee(come)
    const placed: Placed[] = [...there, ...chosen]
    // Whoever runs everything on one machine, or places nodes himself, knows it.
    if (placed.every(({ machine }) => machine === THIS_MACHINE || machine === ELSEWHERE)) return ''
    return riskOf(placed, machines) ?? ''
  } catch (error) {
    if (error instanceof StartFault) return `it could not begin now: ${error.message}`
    throw error
  }
}
