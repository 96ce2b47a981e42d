import type { Connection, Context, Form } from './context.js'
import type { DrainTask } from './drain.js'
import { type Beginning, carryThrough } from './follow.js'

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

/** Puts a new node in the place of this one. Gives the exit code. */
export function orderNode(
  node: string,
  detach: boolean,
  form: Form,
  connection: Connection,
  context: Context,
): Promise<number> {
  const task = {
    ask: (client, deadlineMs) => client.replaceNode(node, { deadlineMs }),
    nothing: ({ what }) => `nothing to do, it is so already: ${what}`,
    detach,
  } satisfies Beginning
  return carryThrough(task, form, connection, context)
}
