export type {
  Appended,
  Batch,
  BatchResult,
  BoundOptions,
  ConditionOptions,
  Deleted,
  PutConditionOptions,
  Stored,
  TouchOptions,
} from './batch.js'
export type { DeletePrefixOptions, PrefixDeletion } from './deletion.js'
export type { ReadOptions, RequestOptions } from './front.js'
export {
  KvClient,
  type KvClientOptions,
  type PutOptions,
  type Returning,
  type WithPrevious,
  type WriteOptions,
} from './kv-client.js'
export type { GrantOptions, Lease, Leases } from './lease.js'
export type { HoldOptions, LeaseHold } from './lease-hold.js'
export { RequestWrapper, type RequestWrapperOptions } from './request-wrapper.js'
export type { CountOptions, RangeChoice, ScannedEntry, ScannedKey, ScanOptions } from './scan.js'
export {
  type Op,
  type OpReply,
  op,
  type Transaction,
  type TransactionReply,
  type TransactionStart,
} from './transaction.js'
export type { Bytes, Hit } from './values.js'
export type { Watch, WatchEvent, WatchOptions, WatchProgress, WatchTarget } from './watch.js'
