import type { MethodDefinition } from '@grpc/grpc-js'
import { BatchRequest, BatchResponse, KVService } from './gen/kvorum/v1/kv.js'

/** As a Buffer without copying: what the encoder returns is nobody else's. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The generated definition copies every message once more; on the hot path that is worth avoiding. */
export const BATCH: MethodDefinition<BatchRequest, BatchResponse> = {
  ...KVService.batch,
  requestSerialize: (message) => asBuffer(BatchRequest.encode(message).finish()),
  responseSerialize: (message) => asBuffer(BatchResponse.encode(message).finish()),
}

/** A server's end of it: bytes both ways, so that it can look at a message before it is decoded, and encodes by itself. */
export const SERVER_BATCH: MethodDefinition<Uint8Array, Uint8Array> = {
  ...BATCH,
  requestSerialize: asBuffer,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: asBuffer,
  responseDeserialize: (bytes) => bytes,
}
