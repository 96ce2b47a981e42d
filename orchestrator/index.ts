// What `import ... from 'kvorum'` gives.
export {
  type Appended,
  type Batch,
  type BatchResult,
  type BoundOptions,
  type Bytes,
  type ConditionOptions,
  type Deleted,
  type Hit,
  KvClient,
  type KvClientOptions,
  type PutConditionOptions,
  type PutOptions,
  type ReadOptions,
  type RequestOptions,
  RequestWrapper,
  type RequestWrapperOptions,
  type Stored,
  type WriteOptions,
} from './client/index.js'
export * from './errors/index.js'
