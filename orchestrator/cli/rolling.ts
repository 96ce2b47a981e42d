import { resolve } from 'node:path'
import type { ControlClient, Operation } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { type Beginning, carryThrough } from './follow.js'

/** What is to be restarted, and with what. */
export type RollingTask =
  /** A node by its name; every node when it is undefined. */
  | { readonly how: 'restart'; readonly node: string | undefined }
  /** A path here, which is the machine of the orchestrator; its own program when it is undefined. */
  | { readonly how: 'upgrade'; readonly binary: string | undefined }

/** Restarts nodes one after the other, with another program when it is an upgrade. Gives the exit code. */
export function roll(
  task: RollingTask & Pick<Beginning, 'detach'>,
  form: Form,
  connection: Connection,
  context: Context,
): Promise<number> {
  const beginning: Beginning = {
    ask: (client, deadlineMs) => ask(client, task, deadlineMs),
    nothing: ({ what }) => `nothing to do, it is so already: ${what}`,
    detach: task.detach,
  }
  return carryThrough(beginning, form, connection, context)
}

function ask(client: ControlClient, task: RollingTask, deadlineMs: number): Promise<Operation> {
  if (task.how === 'restart') return client.restart(task.node ?? '', { deadlineMs })
  return client.upgrade(task.binary === undefined ? '' : resolve(task.binary), { deadlineMs })
}
