export { type RequestOptions, RequestWrapper, type RequestWrapperOptions } from './request-wrapper.js'
