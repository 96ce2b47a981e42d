// Copies that share disks and networks: simulated from one end of a copy to the next, each with its fair share (max-min).

/** What bounds several copies at once: a disk, one direction of a network. */
export interface Resource {
  readonly name: string
  readonly bytesPerSecond: number
}

export interface Stage {
  readonly bytes: number
  /** What one copy can do by itself. */
  readonly bytesPerSecond: number
  /** What it uses, and how many bytes of that for each of its own. */
  readonly uses: readonly { readonly resource: Resource; readonly times: number }[]
}

/** Its stages follow one another. */
export type Copy = readonly Stage[]

export interface Outcome {
  readonly seconds: number
  /** What held stages up, in seconds of copies: their own speed, or a resource by its name. */
  readonly heldBy: ReadonlyMap<string, number>
}

interface Running {
  readonly copy: Copy
  stage: number
  left: number
}

const OWN = 'one copy'

/** Runs the copies in their order, at most `together` at a time. */
export function run(copies: readonly Copy[], together: number): Outcome {
  const waiting = [...copies].reverse()
  const heldBy = new Map<string, number>()
  let running: Running[] = []
  let seconds = 0
  for (;;) {
    while (running.length < together && waiting.length > 0) {
      const copy = waiting.pop()
      if (copy?.[0] !== undefined) running.push({ copy, stage: 0, left: copy[0].bytes })
    }
    if (running.length === 0) return { seconds, heldBy }
    const shares = fairShares(running.map(({ copy, stage }) => copy[stage] as Stage))
    const step = Math.min(...running.map(({ left }, at) => left / (shares[at]?.rate ?? 0)))
    seconds += step
    for (const [at, one] of running.entries()) {
      const { rate = 0, by = OWN } = shares[at] ?? {}
      heldBy.set(by, (heldBy.get(by) ?? 0) + step)
      one.left -= rate * step
    }
    running = running.filter(isGoingOn)
  }
}

/** On to the next stage when one is done. Less than a byte is nothing. */
function isGoingOn(one: Running): boolean {
  if (one.left >= 1) return true
  const next = one.copy[++one.stage]
  one.left = next?.bytes ?? 0
  return next !== undefined
}

interface Share {
  readonly rate: number
  /** The resource that bounds it. */
  readonly by: string
}

/** Water-filling: the resource with least for each of its users gives them that; what they leave is for the others. */
export function fairShares(stages: readonly Stage[]): Share[] {
  const shares = new Map<number, Share>()
  const free = new Map<Resource, number>()
  for (const { uses } of stages) for (const { resource } of uses) free.set(resource, resource.bytesPerSecond)
  const give = (at: number, share: Share) => {
    shares.set(at, share)
    for (const { resource, times } of stages[at]?.uses ?? []) {
      free.set(resource, Math.max(0, (free.get(resource) ?? 0) - share.rate * times))
    }
  }
  while (shares.size < stages.length) {
    const open = [...stages.keys()].filter((at) => !shares.has(at))
    const level = lowest(stages, open, free)
    const own = open.filter((at) => (stages[at]?.bytesPerSecond ?? 0) <= level.rate)
    for (const at of own) give(at, { rate: stages[at]?.bytesPerSecond ?? 0, by: OWN })
    if (own.length > 0) continue
    const bound = open.filter((at) => stages[at]?.uses.some(({ resource }) => resource === level.resource))
    for (const at of bound) give(at, { rate: level.rate, by: level.resource?.name ?? OWN })
  }
  return stages.map((_, at) => shares.get(at) ?? { rate: 0, by: OWN })
}

/** The resource that gives its users least. */
function lowest(stages: readonly Stage[], open: readonly number[], free: ReadonlyMap<Resource, number>) {
  const users = new Map<Resource, number>()
  for (const at of open) {
    for (const { resource, times } of stages[at]?.uses ?? []) users.set(resource, (users.get(resource) ?? 0) + times)
  }
  let rate = Number.POSITIVE_INFINITY
  let resource: Resource | undefined
  for (const [one, times] of users) {
    const each = (free.get(one) ?? 0) / times
    if (each < rate) [rate, resource] = [each, one]
  }
  return { rate, resource }
}
