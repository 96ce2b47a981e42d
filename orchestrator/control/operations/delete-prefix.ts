import { DEFAULT_LIMITS } from '../../core/limits.js'
import { printableKey } from '../../core/text.js'
import { invalidArgument } from '../../errors/index.js'
import { refused } from '../faults.js'
import type { DeletePrefixRecord } from './delete-record.js'
import { Deletion } from './deletion.js'
import type { KeysProgress, Kind, OperationTools, Wish } from './kind.js'
import { UnderWay } from './under-way.js'

/** Deletes every key that begins so. DESIGN.md says what becomes of keys that are written meanwhile. */
export const deletePrefix: Kind<DeletePrefixRecord> = {
  describe: ({ prefix }) =>
    prefix === ''
      ? 'delete every key'
      : `delete every key that begins with ${printableKey(Buffer.from(prefix, 'base64'))}`,
  steps: () => [],
  // What is deleted stays deleted.
  cancelled: (record) => record,
  run,
}

/** That every key be deleted that begins so. `all` has to be said for the empty prefix. */
export function wishForDeletion(prefix: Uint8Array, all: boolean): Wish {
  if (prefix.length > DEFAULT_LIMITS.keyBytesMax) {
    throw invalidArgument(`the prefix has ${prefix.length} bytes: no key has more than ${DEFAULT_LIMITS.keyBytesMax}`)
  }
  if (all !== (prefix.length === 0)) {
    throw invalidArgument(
      all ? 'it is either a prefix or all keys' : 'an empty prefix is every key there is: say that with all',
    )
  }
  const wanted = Buffer.from(prefix).toString('base64')
  return {
    lane: 'keys',
    isMetBy: (open) => open.kind === 'delete-prefix' && open.state === 'running' && open.prefix === wanted,
    // Who asks now means keys as well that were written behind the walk.
    join: (open) => (open.kind === 'delete-prefix' ? { ...open, again: true } : open),
    plan: ({ clock }) => {
      const times = { paused: false, begunAt: clock.now(), endedAt: 0 }
      const fresh = { again: false, deleted: 0, passed: 0 }
      return { format: 1, kind: 'delete-prefix', id: '', state: 'running', ...times, prefix: wanted, ...fresh }
    },
    expectPossible: ({ openKeys }) => {
      if (openKeys === undefined) throw refused(NO_KEYS)
    },
  }
}

/** As people see it: what is known by now, or else what is written down. */
export function deletePrefixProgress(record: DeletePrefixRecord, now: KeysProgress | undefined) {
  const { deleted, passed } = now ?? record
  return {
    prefix: Buffer.from(record.prefix, 'base64'),
    total: typeof record.total === 'number' ? BigInt(record.total) : undefined,
    deleted: BigInt(deleted),
    passed: BigInt(passed),
  }
}

async function run(record: DeletePrefixRecord, tools: OperationTools, recalled: AbortSignal, signal: AbortSignal) {
  const underWay = new UnderWay(record, tools, recalled, signal)
  if (record.state === 'cancelling') return underWay.end()
  if (underWay.isPaused) return
  const { openKeys, publisher, clock } = tools
  if (openKeys === undefined) throw refused(NO_KEYS)
  const keys = openKeys(publisher.maps)
  // Who is to stop does not wait for shards without leaders.
  const leave = () => keys.close()
  signal.addEventListener('abort', leave, { once: true })
  try {
    while (!underWay.isSteered) {
      // Who has paused it may have let it go on since: then this is called again.
      if (!(await new Deletion(underWay, keys, tools).run())) return
      const endedAt = clock.now()
      // One write decides which it is, so that nobody who asks for it at this moment is told of a walk that has passed his keys.
      await underWay.updateUnlessSteered((now) => (now.again ? anew(now) : { ...now, state: 'done', endedAt }))
    }
  } finally {
    signal.removeEventListener('abort', leave)
    keys.close()
  }
}

const NO_KEYS = 'this orchestrator has no way to the keys'

/** From the beginning, with what has been counted so far. */
function anew({ cursor: _, total: __, ...rest }: DeletePrefixRecord): DeletePrefixRecord {
  return { ...rest, again: false }
}
