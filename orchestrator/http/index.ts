export { type HttpGateway, type HttpOptions, serveHttp } from './serve.js'
