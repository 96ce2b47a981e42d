import { NotLeaderError, PreconditionFailedError, UnavailableError } from '../../errors/index.js'
import type { NodeLink } from '../links.js'

/** What a shard's log says of its members. */
export class FakeMembers {
  #index = 0n
  /** By id: whether it has a vote. */
  #votes: ReadonlyMap<string, boolean> = new Map()
  /** Each configuration that there has been: ids, in brackets those without a vote. */
  readonly history: string[] = []

  constructor(private readonly answers: (id: string) => boolean) {}

  get configuration(): bigint {
    return this.#index
  }

  get all(): { readonly nodeId: string; readonly voter: boolean; readonly behind: bigint }[] {
    return [...this.#votes].map(([nodeId, voter]) => ({ nodeId, voter, behind: 0n }))
  }

  get voters(): string[] {
    return [...this.#votes].filter(([, voter]) => voter).map(([id]) => id)
  }

  has(id: string): boolean {
    return this.#votes.has(id)
  }

  bootstrap(ids: readonly string[]): void {
    if (ids.some((id) => !this.has(id))) this.#become(new Map(ids.map((id) => [id, true])))
  }

  /** Whether those that answer can decide anything. */
  hasMajority(voters: readonly string[] = this.voters): boolean {
    return voters.filter(this.answers).length * 2 > voters.length
  }

  add(id: string, ifConfiguration: bigint): bigint {
    return this.has(id) ? this.#index : this.#change(ifConfiguration, new Map([...this.#votes, [id, false]]))
  }

  promote(id: string, ifConfiguration: bigint): bigint {
    if (!this.has(id)) throw new PreconditionFailedError('not a member', { outcome: 'not-applied' })
    return this.#votes.get(id) === true
      ? this.#index
      : this.#change(ifConfiguration, new Map([...this.#votes, [id, true]]))
  }

  remove(id: string, ifConfiguration: bigint): bigint {
    if (!this.has(id)) return this.#index
    return this.#change(ifConfiguration, new Map([...this.#votes].filter(([one]) => one !== id)))
  }

  #change(ifConfiguration: bigint, votes: ReadonlyMap<string, boolean>): bigint {
    if (ifConfiguration !== 0n && ifConfiguration !== this.#index) {
      throw new PreconditionFailedError('another configuration', { outcome: 'not-applied' })
    }
    const voters = [...votes].filter(([, voter]) => voter).map(([id]) => id)
    if (!this.hasMajority(voters)) {
      throw new PreconditionFailedError('of the voters that would be left no majority answers', {
        outcome: 'not-applied',
      })
    }
    this.#become(votes)
    return this.#index
  }

  #become(votes: ReadonlyMap<string, boolean>): void {
    this.#index++
    this.#votes = votes
    this.history.push([...votes].map(([id, voter]) => (voter ? id : `(${id})`)).join(' '))
  }
}

/** The node that is asked, when it leads. */
export interface Led {
  readonly id: string
  readonly members: FakeMembers
  /** The node has all of the log from now on. */
  readonly feed: (id: string) => void
  readonly handOver: () => void
}

/** What a leader does about members. `isBehind`: the node does not catch up. */
export function fakeMemberCalls(
  led: (what: string) => Promise<Led>,
  isBehind: (id: string) => boolean,
): Pick<NodeLink, 'addNonVoter' | 'promote' | 'removeMember'> {
  return {
    addNonVoter: async ({ id }, ifConfiguration = 0n) => {
      const { members, feed } = await led('addNonVoter')
      const index = members.add(id, ifConfiguration)
      feed(id)
      return index
    },
    promote: async (id, ifConfiguration = 0n) => {
      const { members } = await led('promote')
      if (isBehind(id)) throw new UnavailableError('7 entries behind', { outcome: 'not-applied' })
      return members.promote(id, ifConfiguration)
    },
    removeMember: async (id, ifConfiguration = 0n) => {
      const leader = await led('removeMember')
      if (id !== leader.id) return leader.members.remove(id, ifConfiguration)
      leader.handOver()
      throw new NotLeaderError('it leads, and is to go', { outcome: 'not-applied' })
    },
  }
}
