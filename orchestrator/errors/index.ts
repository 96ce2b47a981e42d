export * from './classes.js'
export { CODES, type Code, OUTCOMES, type Outcome } from './codes.js'
export { KvError, type KvErrorDetails, type LeaderHint } from './kv-error.js'
