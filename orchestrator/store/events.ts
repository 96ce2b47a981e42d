/** What a Store tells of itself; logs and metrics are made of these. */
export type StoreEvent =
  | { readonly type: 'lane.open'; readonly shard: number; readonly node: string; readonly address: string }
  | { readonly type: 'lane.stalled'; readonly shard: number; readonly node: string; readonly address: string }
  | { readonly type: 'lane.recovered'; readonly shard: number; readonly node: string; readonly address: string }
  | {
      readonly type: 'lane.down'
      readonly shard: number
      readonly node: string
      readonly address: string
      readonly cause: unknown
    }
  /** How long the shard had no known leader while somebody waited for one. */
  | { readonly type: 'leader.found'; readonly shard: number; readonly node: string; readonly searchedMs: number }
  | { readonly type: 'leader.lost'; readonly shard: number; readonly node: string }
  | { readonly type: 'map.updated'; readonly epoch: bigint }
