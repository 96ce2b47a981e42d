import { SESSION_ID_BYTES, type SessionRef, type Stamp } from '../core/operation.js'
import { operationToWire } from './convert.js'
import type { BatchRequest, Operation as WireOperation, Session as WireSession } from './gen/kvorum/v1/kv.js'
import type { LaneRequest } from './lane-request.js'

/** The operations of a message and the sessions that they refer to, each session once. */
export function requestsToWire(requests: readonly LaneRequest[]): Pick<BatchRequest, 'operations' | 'sessions'> {
  const sessions: WireSession[] = []
  const numbers = new Map<SessionRef, number>()
  const operations = requests.map(({ operation, stamp }) => {
    const wire = operationToWire(operation)
    if (stamp === undefined) return wire
    let number = numbers.get(stamp.session)
    if (number === undefined) {
      const { id, floor, shard } = stamp.session
      number = sessions.push({ id, floor: BigInt(floor), shard })
      numbers.set(stamp.session, number)
    }
    wire.session = number
    wire.sequence = BigInt(stamp.sequence)
    return wire
  })
  return { operations, sessions }
}

const NONE: readonly undefined[] = []
/** Of a reference to nothing, or to what is no session: whoever executes the write refuses it. */
const NOBODY: SessionRef = { id: new Uint8Array(), floor: 0, shard: 0 }

/** The stamps of a message's operations, by position. `epoch` is that of the message. */
export function stampsFromWire(operations: readonly WireOperation[], sessions: readonly WireSession[], epoch = 0n) {
  if (sessions.length === 0 && operations.every(({ session }) => session === 0)) return NONE
  const refs = sessions.map(
    (session): SessionRef => (session.id.length === SESSION_ID_BYTES ? { ...session, epoch } : NOBODY),
  )
  return operations.map(({ session, sequence }): Stamp | undefined => {
    if (session === 0) return undefined
    return { session: refs[session - 1] ?? NOBODY, sequence }
  })
}
