import { constants } from 'node:http2'

/** Ends a stream now and drops what was not sent: for a client that does not read, which would keep any other end waiting. */
export function cut(call: { destroy(): unknown }): void {
  // grpc-js ends streams in order only; what it ends them with is HTTP/2's stream. The code is RESOURCE_EXHAUSTED to gRPC.
  const { call: inner } = call as { call?: { stream?: { close(code: number): void } } }
  if (inner?.stream === undefined) call.destroy()
  else inner.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
}
