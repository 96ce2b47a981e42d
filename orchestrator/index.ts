// What `import ... from 'kvorum'` gives.
export { type RequestOptions, RequestWrapper, type RequestWrapperOptions } from './client/index.js'
export * from './errors/index.js'
