export type { Done, OperationStore } from './context.js'
export { type Gateway, type GatewayOptions, serveGateway } from './serve.js'
