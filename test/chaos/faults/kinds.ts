import { clockFaults } from './clock.js'
import { damageFaults } from './damage.js'
import { diskFaults } from './disk.js'
import type { FaultKind } from './fault.js'
import { KILLS } from './kill.js'
import { SharedLab } from './lab.js'
import { LateAnswers } from './late-answers.js'
import { networkFaults } from './network.js'
import { PAUSES } from './pause.js'
import { RESHARD } from './reshard.js'
import { RESTARTS } from './restart.js'
import { SnapshotStorm } from './snapshots.js'
import { TRANSFERS } from './transfer.js'

const LAB = new SharedLab()
const NETWORK = [...networkFaults(LAB), new LateAnswers(LAB)]
const DISK = diskFaults(LAB)
const CLOCK = clockFaults(LAB)
const DAMAGE = damageFaults(LAB)
const STORM = new SnapshotStorm(LAB)

/** Every kind of fault that there is. A new one is added here, and nowhere else. */
export const KINDS: readonly FaultKind[] = [
  ...KILLS,
  ...PAUSES,
  ...TRANSFERS,
  ...RESTARTS,
  ...NETWORK,
  ...DISK,
  ...CLOCK,
  ...DAMAGE,
  STORM,
  RESHARD,
]

/** Words for several kinds that do not begin alike. */
const GROUPS: Readonly<Record<string, readonly FaultKind[]>> = {
  process: [...KILLS, ...PAUSES, ...TRANSFERS, ...RESTARTS],
  network: NETWORK,
  disk: DISK,
}

/** The kinds of a list like "kill,network": a word stands for a group, or for all kinds that begin with it. Throws a TypeError. */
export function kindsNamed(words: readonly string[]): readonly FaultKind[] {
  const belongs = (kind: FaultKind, word: string): boolean =>
    kind.name === word || kind.name.startsWith(`${word}-`) || (GROUPS[word]?.includes(kind) ?? false)
  const unknown = words.filter((word) => !KINDS.some((kind) => belongs(kind, word)))
  if (unknown.length > 0) {
    const names = [...Object.keys(GROUPS), ...KINDS.map(({ name }) => name)].join(', ')
    throw new TypeError(`no fault is called ${unknown.join(', ')}; there are ${names}`)
  }
  return KINDS.filter((kind) => words.some((word) => belongs(kind, word)))
}

export function kindOf(name: string): FaultKind {
  const found = KINDS.find((kind) => kind.name === name)
  if (found === undefined) throw new TypeError(`no fault is called ${name}`)
  return found
}
