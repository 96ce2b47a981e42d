import { Metadata } from '@grpc/grpc-js'

/**
 * Whom a call is meant for. Addresses are used again: without this, a node of another cluster or shard that listens now
 * where ours did would answer as if nothing were wrong. A node that is somebody else refuses with WRONG_PEER, before it
 * does anything.
 */
export interface PeerIdentity {
  readonly cluster: string
  /** 0 is meta. */
  readonly shard: number
  /** Undefined: any node of the shard. */
  readonly node?: string
}

/** The metadata that say so; nothing for a peer that may be anybody. */
export function metadataFor(peer: PeerIdentity | undefined): Metadata {
  const metadata = new Metadata()
  if (peer === undefined) return metadata
  metadata.set('kvorum-cluster', peer.cluster)
  metadata.set('kvorum-shard', `${peer.shard}`)
  if (peer.node !== undefined) metadata.set('kvorum-node', peer.node)
  return metadata
}
