// What a node says in its log.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Written by hashicorp/raft when it has cut its log up to an entry. */
export const COMPACTED = /"msg":"compacting logs",.*"to":(\d+)/g
/** Written by hashicorp/raft when a snapshot from the leader has been restored. */
export const INSTALLED = /Installed remote snapshot/g
/** Written by snapshot/compactor.go. */
export const SNAPSHOT_TAKEN = /"msg":"took a snapshot"/g
/** Written by engine/bitcask/merge.go when a merge gave something back. */
export const MERGED = /"msg":"engine merged"/g

/** What a node has written into its log since this was made, or from another place on. */
export class NodeLog {
  readonly #path: string
  readonly #from: number

  constructor({ directory }: { readonly directory: string }, from?: number) {
    this.#path = join(directory, 'node.log')
    this.#from = from ?? statSync(this.#path).size
  }

  count(pattern: RegExp): number {
    return [...this.#text().matchAll(pattern)].length
  }

  indices(pattern: RegExp): bigint[] {
    return [...this.#text().matchAll(pattern)].map(([, index = '0']) => BigInt(index))
  }

  #text(): string {
    return readFileSync(this.#path).subarray(this.#from).toString()
  }
}
