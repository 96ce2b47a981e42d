import { PreconditionFailedError, UnavailableError } from '../../errors/index.js'
import { LEASE_KEY } from '../lease-record.js'
import type { KvLink } from '../links.js'

/** What meta holds. */
export class Rows extends Map<string, { value: Uint8Array; version: bigint }> {
  /** No key has a version again that it had before it was removed. */
  writes = 0n
}

/** A connection to a node of meta. `serves`: whether it leads, and owns its partitions. */
export function fakeKv(rows: Rows, serves: () => boolean, pass: (what: string) => Promise<void>): KvLink {
  const key = (bytes: Uint8Array) => Buffer.from(bytes).toString()
  const reach = async (what: string, bytes: Uint8Array) => {
    // Renewals of the lease come whenever they come: a test that counts steps must be able to leave them out.
    await pass(`${key(bytes) === LEASE_KEY ? 'lease' : 'meta'} ${what}`)
    if (!serves()) throw new UnavailableError('not the leader, or it owns nothing', { outcome: 'not-applied' })
  }
  return {
    close: () => {},
    get: async (bytes) => {
      await reach('get', bytes)
      const row = rows.get(key(bytes))
      return { found: row !== undefined, value: row?.value ?? new Uint8Array(), version: row?.version ?? 0n }
    },
    put: async (bytes, value, { ifVersion }) => {
      await reach('put', bytes)
      const version = rows.get(key(bytes))?.version ?? 0n
      if (ifVersion !== version) throw new PreconditionFailedError('other version', { outcome: 'not-applied', version })
      const written = ++rows.writes
      rows.set(key(bytes), { value, version: written })
      return { version: written }
    },
    delete: async (bytes, { ifVersion }) => {
      await reach('delete', bytes)
      const version = rows.get(key(bytes))?.version ?? 0n
      if (ifVersion !== undefined && ifVersion !== version) {
        throw new PreconditionFailedError('other version', { outcome: 'not-applied', version })
      }
      return { existed: rows.delete(key(bytes)) }
    },
  }
}
