import type { Stored } from '../meta-keys.js'
import { INDEX, keyOf } from './journal.js'

/**
 * Passes over every key that a journal may write, each with `stamp`: the index first, so that no further one can be named
 * when its keys are gone through. Those are stamped also when they are absent: who named one may be about to write it.
 */
export async function stampJournal(stamp: (key: string) => Promise<Stored>): Promise<void> {
  const { value } = await stamp(INDEX)
  if (value === undefined) return
  const { ids } = JSON.parse(Buffer.from(value).toString()) as { ids?: unknown }
  if (!Array.isArray(ids)) return
  await Promise.all(ids.filter((id) => typeof id === 'string').map((id) => stamp(keyOf(id))))
}
