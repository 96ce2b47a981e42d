import { type Clock, systemClock } from '../core/clock.js'
import { ControlClient } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { begin, follow } from './follow.js'
import { viewOf } from './operation-view.js'

/** What can be done about a node. */
export const NODE_ORDERS = ['replace'] as const

/** Puts a new node in the place of this one. Gives the exit code; rejects with a KvError when it could not be begun or followed. */
export async function orderNode(
  node: string,
  detach: boolean,
  { json }: Form,
  { address, timeoutMs }: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const client = new ControlClient(address)
  try {
    const view = viewOf(await begin(() => client.replaceNode(node, { deadlineMs: timeoutMs })))
    if (!detach) return await follow(client, view, { json, context, clock })
    const words = `operation ${view.id}: ${view.what}; kvorum operations shows how far it is`
    context.out(json ? `${JSON.stringify(view)}\n` : `${words}\n`)
    return EXIT.ok
  } finally {
    client.close()
  }
}
