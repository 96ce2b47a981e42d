import type { FaultKind } from './fault.js'
import { KILLS } from './kill.js'
import { PAUSES } from './pause.js'
import { RESTARTS } from './restart.js'
import { TRANSFERS } from './transfer.js'

/** Every kind of fault that there is. A new one is added here, and nowhere else. */
export const KINDS: readonly FaultKind[] = [...KILLS, ...PAUSES, ...TRANSFERS, ...RESTARTS]

/** The kinds of a list like "kill,pause-leader": a word stands for all kinds that begin with it. Throws a TypeError. */
export function kindsNamed(words: readonly string[]): readonly FaultKind[] {
  const belongs = (name: string, word: string): boolean => name === word || name.startsWith(`${word}-`)
  const unknown = words.filter((word) => !KINDS.some(({ name }) => belongs(name, word)))
  if (unknown.length > 0) {
    throw new TypeError(
      `no fault is called ${unknown.join(', ')}; there are ${KINDS.map(({ name }) => name).join(', ')}`,
    )
  }
  return KINDS.filter(({ name }) => words.some((word) => belongs(name, word)))
}

export function kindOf(name: string): FaultKind {
  const found = KINDS.find((kind) => kind.name === name)
  if (found === undefined) throw new TypeError(`no fault is called ${name}`)
  return found
}
