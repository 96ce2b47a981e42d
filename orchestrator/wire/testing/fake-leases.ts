import type { LeaseOperation, LeaseResult } from '../../core/lease.js'
import { type KvError, LeaseNotFoundError } from '../../errors/index.js'

/** Leases of a fake of the whole cluster: what is asked of any shard is done to all of the lease. Time does not pass. */
export class FakeLeases {
  /** How long each lives, by its id in hex. */
  readonly ttls = new Map<string, number>()
  /** The lease of each key that has one. */
  readonly #of = new Map<string, string>()

  constructor(private readonly remove: (key: string) => void) {}

  execute(operation: LeaseOperation): LeaseResult | KvError {
    const id = hex(operation.lease)
    const ttlMs = this.ttls.get(id)
    switch (operation.kind) {
      case 'grant-lease':
        this.ttls.set(id, operation.ttlMs)
        return { kind: 'grant-lease' }
      case 'keep-alive':
        return ttlMs === undefined ? gone() : { kind: 'keep-alive', ttlMs }
      case 'revoke-lease':
        this.ttls.delete(id)
        for (const [key, of] of this.#of) if (of === id) this.remove(key)
        return { kind: 'revoke-lease', existed: ttlMs !== undefined, more: false }
    }
  }

  /** Notes whose a key is from now on, or why it cannot be. */
  attach(key: string, lease: Uint8Array | undefined): KvError | undefined {
    if (lease === undefined) this.#of.delete(key)
    else if (!this.ttls.has(hex(lease))) return gone()
    else this.#of.set(key, hex(lease))
    return undefined
  }
}

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}

function gone(): KvError {
  return new LeaseNotFoundError('the lease is gone', { outcome: 'not-applied' })
}
