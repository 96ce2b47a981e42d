import type { Metadata } from '@grpc/grpc-js'
import { WrongPeerError } from '../../errors/index.js'
import { statusOf } from '../errors.js'
import { metadataFor, type PeerIdentity } from '../peer.js'

/** How a node that is `me` ends a call that is meant for somebody else, as node-go/server/meant.go does; or undefined. */
export function refusal(asked: Metadata, me: PeerIdentity | undefined): Error | undefined {
  const mine = metadataFor(me).getMap()
  for (const [key, value] of Object.entries(asked.getMap())) {
    if (mine[key] === undefined || mine[key] === value) continue
    const error = new WrongPeerError(`the call is meant for ${key} ${value}`, { outcome: 'not-applied' })
    return Object.assign(new Error(error.message), statusOf(error))
  }
  return undefined
}
