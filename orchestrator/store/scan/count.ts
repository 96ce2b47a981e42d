import { PAGE_BYTES_MAX } from '../../core/operation.js'
import { isEmptyRange, type Range } from '../../core/range.js'
import { ALL_PARTITIONS, byOwner, isWrongShard, MapChanges, type PageSource, type Patience, readPage } from './pages.js'

/**
 * How many keys the range has. The nodes count, in steps, so that no step takes long; each key that is there during the whole
 * call is counted once: a shard's count of some partitions goes on where it was when they turn out to have moved.
 */
export async function countKeys(from: PageSource, range: Range, patience: Patience): Promise<number> {
  const over = new AbortController()
  const giveUp = () => over.abort(patience.signal.reason)
  if (patience.signal.aborted) giveUp()
  patience.signal.addEventListener('abort', giveUp, { once: true })
  try {
    return await countParts(from, ALL_PARTITIONS, range, { ...patience, signal: over.signal })
  } finally {
    patience.signal.removeEventListener('abort', giveUp)
    // One shard that failed ends the others' work.
    over.abort()
  }
}

async function countParts(
  from: PageSource,
  partitions: Uint8Array,
  range: Range,
  patience: Patience,
  changes = new MapChanges(from),
): Promise<number> {
  if (isEmptyRange(range)) return 0
  const map = from.maps.current()
  const parts = [...byOwner(map, partitions)].map(async ([shard, owned]) => {
    let [total, rest] = [0, range]
    for (;;) {
      const ask = { shard, partitions: owned, range: rest, reverse: false, content: 'count', limit: 0 } as const
      try {
        const { count, next } = await readPage(from, { ...ask, bytesMax: COUNT_BYTES }, patience)
        total += count
        changes.explained()
        if (next === undefined) return total
        rest = { from: next, to: range.to }
      } catch (error) {
        if (!isWrongShard(error)) throw error
        await changes.after(map, error, patience)
        return total + (await countParts(from, owned, rest, patience, changes))
      }
    }
  })
  return (await Promise.all(parts)).reduce((sum, part) => sum + part, 0)
}

/** A count is small; it is weighed as a page of so much all the same, since it looks at as many keys. */
const COUNT_BYTES = PAGE_BYTES_MAX / 16
