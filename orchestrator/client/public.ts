// What `import ... from 'kvorum/client'` gives: clients and their errors, and nothing of a server.
export * from '../errors/index.js'
export * from './index.js'
