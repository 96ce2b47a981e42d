// text/event-stream as the HTML standard has it, of what a watch tells. The id of an event is the token to go on from: a browser's
// EventSource that has lost its connection sends it back as Last-Event-ID.
import { z } from 'zod'
import { bytesInJson } from '../core/bytes-json.js'
import type { KeyChange } from '../wire/watch.js'
import { Bytes } from './bytes.js'
import { named } from './named.js'
import { version } from './schemas.js'

export const EVENT_STREAM = 'text/event-stream'

/** What every stream begins with: how long an EventSource waits before it connects again, ms. */
export const OPENING = 'retry: 1000\n\n'

/** A comment, which readers pass over. */
export const KEEP_ALIVE = Buffer.from(':\n\n')

const token = z
  .string()
  .meta({ description: 'To go on from: `from` of another request. It is the id of the event, too.' })

const Change = named(
  'Change',
  'Of an event `change`: what a write has made of a key.',
  z.union([
    z.strictObject({ type: z.literal('put'), key: Bytes, value: Bytes, version }),
    z
      .strictObject({ type: z.literal('delete'), key: Bytes, version })
      .meta({ description: 'The version that it had.' }),
  ]),
)

const Progress = named(
  'Progress',
  'Of an event `progress`: all changes so far were told. The first one says that the watch has begun.',
  z.strictObject({ token }),
)

const Compacted = named(
  'Compacted',
  'Of an event `compacted`, the last of its stream: changes were missed that are not kept any more. Scan what is there, then watch from the token.',
  z.strictObject({ token, detail: z.string() }),
)

/** The data of any event. */
export const EventData = named('EventData', 'The data of an event of a watch.', z.union([Change, Progress, Compacted]))

export function changeEvent(change: KeyChange, id: string): string {
  const { type, key } = change
  const value = change.type === 'put' ? { value: bytesInJson(change.value) } : {}
  return event('change', id, { type, key: bytesInJson(key), ...value, version: String(change.version) })
}

export function progressEvent(id: string): string {
  return event('progress', id, { token: id })
}

export function compactedEvent(id: string, detail: string): string {
  return event('compacted', id, { token: id, detail })
}

/** JSON has no line breaks, so that data is one line. */
function event(name: string, id: string, data: unknown): string {
  return `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`
}

/** A comment that says why there is no more. */
export function lastComment(why: string): string {
  return `: ${why.replaceAll(/[\r\n]+/g, ' ')}\n\n`
}
