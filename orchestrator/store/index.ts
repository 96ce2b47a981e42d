export type { Done } from './call.js'
export type { StoreEvent } from './events.js'
export type { ExecuteOptions } from './execute.js'
export { Store, type StoreOptions, type WriteOptions } from './store.js'
