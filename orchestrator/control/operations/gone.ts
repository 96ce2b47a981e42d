import type { Fleet } from '../fleet.js'
import type { Group } from '../group.js'
import type { Supervisor } from '../supervisor.js'

/** What of a fleet tells whether machines are gone. */
export type Machines = Pick<Fleet, 'isGone' | 'hears'>

/** Whether the node's machine has been silent for so long that nobody waits for the node any more. One that is only silent may come back. */
export function isGone({ condition, spec }: Supervisor, machines: Machines): boolean {
  return condition !== 'up' && machines.isGone(spec.machine)
}

/** Why nobody waits for it any more, for people. */
export function goneWords({ spec }: Supervisor): string {
  return `machine ${spec.machine} has not been heard for too long`
}

/** Those of the group's members that are gone. */
export function goneOf(group: Group, machines: Machines): readonly Supervisor[] {
  return group.voters.filter((one) => isGone(one, machines))
}

/** Whether the group decides nothing when so many of its members are away. */
export function isTooMany(group: Group, away: number): boolean {
  return (group.voters.length - away) * 2 <= group.voters.length
}
