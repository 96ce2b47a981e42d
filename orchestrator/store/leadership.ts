/**
 * Who leads a shard, as far as the answers tell. Only a newer term moves it: an old leader that has not heard of its end,
 * and a follower that has not heard of the election, would otherwise send clients back and forth.
 */
export class Leadership {
  #leader: string | undefined
  #term = 0n

  get leader(): string | undefined {
    return this.#leader
  }

  get term(): bigint {
    return this.#term
  }

  /** A node says who leads. Says whether that was news. */
  hinted(nodeId: string, term: bigint): boolean {
    if (term <= this.#term) return false
    this.#term = term
    const news = this.#leader !== nodeId
    this.#leader = nodeId
    return news
  }

  /** A node answered as only a leader can. Its term is unknown; a leader that is known already stays. */
  confirmed(nodeId: string): boolean {
    if (this.#leader !== undefined) return false
    this.#leader = nodeId
    return true
  }

  /** A node does not lead (any more), or cannot be reached. Says whether it was taken for the leader. */
  lost(nodeId: string): boolean {
    if (this.#leader !== nodeId) return false
    this.#leader = undefined
    return true
  }
}
