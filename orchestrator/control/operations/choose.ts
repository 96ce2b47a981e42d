// Pure: which node of a group goes.

/** A node of the group, as far as it matters for whether it goes. */
export interface Candidate {
  readonly index: number
  readonly machine: string
  readonly leads: boolean
  readonly answers: boolean
  /** A person wants nothing to depend on it. */
  readonly drained: boolean
}

/**
 * Which of the members goes: one that does not answer, before one that does, since the others are what is left; then one that
 * is drained; then one that does not lead, so that nobody waits for an election; then one of those that share their machine with most of the group, then
 * of those on the fullest machine; the newest at last. Undefined when there is nobody.
 */
export function chooseLeaver(
  members: readonly Candidate[],
  /** How many nodes of all groups each machine has. */
  nodesOn: ReadonlyMap<string, number>,
): Candidate | undefined {
  const beside = (one: Candidate) => members.filter(({ machine }) => machine === one.machine).length
  const rank = (one: Candidate) => [
    one.answers ? 0 : 1,
    one.drained ? 1 : 0,
    one.leads ? 0 : 1,
    beside(one),
    nodesOn.get(one.machine) ?? 0,
    one.index,
  ]
  return members.reduce<Candidate | undefined>((best, one) => {
    return best === undefined || isGreater(rank(one), rank(best)) ? one : best
  }, undefined)
}

function isGreater(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, index) => value !== b[index])
  return at >= 0 && (a[at] ?? 0) > (b[at] ?? 0)
}
