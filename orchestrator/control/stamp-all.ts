import { stamp } from './fence.js'
import { MAP_KEY } from './map-keeper.js'
import type { MetaStore } from './meta-store.js'
import { stampJournal } from './operations/journal-keys.js'
import { stampRows } from './registry-rows.js'

/**
 * Writes a new holder's term over every key that a holder writes through its FencedStore: one that were missing here would
 * be open to those before it. Throws NotHolder when there is a greater term.
 */
export async function stampAll(store: MetaStore, term: number, signal: AbortSignal): Promise<void> {
  const one = (key: string) => stamp(store, key, term, signal)
  // First: a map with a greater term than they have was stamped by who knows nothing of them.
  await stampRows(one)
  await Promise.all([one(MAP_KEY), stampJournal(one)])
}
