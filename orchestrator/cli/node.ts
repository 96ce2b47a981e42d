import { type Clock, systemClock } from '../core/clock.js'
import { ControlClient } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import type { DrainTask } from './drain.js'
import { EXIT } from './exit-codes.js'
import { begin, follow } from './follow.js'
import { viewOf } from './operation-view.js'

/** What can be done about a node, and in two cases about all of a machine. */
export const NODE_ORDERS = ['replace', 'drain', 'undrain'] as const

export interface NodeFlags {
  readonly detach?: boolean
  readonly machine?: string
  readonly dryRun?: boolean
}

/** What a command line asks for. Throws a TypeError when it makes no sense. */
export function nodeTaskOf(
  how: string,
  node: string | undefined,
  { detach = false, machine, dryRun = false }: NodeFlags,
): { readonly replace: string; readonly detach: boolean } | { readonly drain: DrainTask } {
  const order = NODE_ORDERS.find((one) => one === how)
  if (order === undefined) throw new TypeError(`kvorum node takes ${NODE_ORDERS.join(', ')}`)
  if (order === 'replace') {
    if (node === undefined || machine !== undefined || dryRun) {
      throw new TypeError('kvorum node replace takes a node, and neither --machine nor --dry-run')
    }
    return { replace: node, detach }
  }
  if ((node === undefined) === (machine === undefined)) {
    throw new TypeError(`kvorum node ${how} takes a node, or --machine for all that are there`)
  }
  return { drain: { node: node ?? '', machine: machine ?? '', undo: order === 'undrain', dryRun, detach } }
}

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
