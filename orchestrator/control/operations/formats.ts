import { UnavailableError } from '../../errors/index.js'
import type { NodeStatus } from '../../wire/node-admin.js'
import type { Group } from '../group.js'

/** Formats of commands: node-go/fsm has them. A node of a version that told neither knows 1, and uses it. */
export interface Formats {
  /** The newest one that every node knows. */
  readonly known: number
  /** The oldest and the newest one that a shard uses. */
  readonly lowest: number
  readonly used: number
}

const ASK_MS = 1_000

/** Asks every node; one that does not answer may know less than all others. */
export async function formatsOf(groups: readonly Group[]): Promise<Formats> {
  const statuses = await Promise.all(
    groups.flatMap(({ nodes }) =>
      nodes.map(async ({ name, admin }): Promise<NodeStatus> => {
        if (admin !== undefined) return admin.status({ deadlineMs: ASK_MS })
        throw new UnavailableError(`${name} cannot be asked which formats it knows`, { outcome: 'not-applied' })
      }),
    ),
  )
  const used = statuses.map(({ format }) => Math.max(1, format))
  const known = statuses.map(({ formatMax }) => Math.max(1, formatMax))
  return { known: Math.min(...known), lowest: Math.min(...used), used: Math.max(...used) }
}
