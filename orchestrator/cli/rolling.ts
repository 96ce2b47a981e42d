import { resolve } from 'node:path'
import { type Clock, systemClock } from '../core/clock.js'
import { ControlClient, type Operation } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { begin, follow } from './follow.js'
import { viewOf } from './operation-view.js'

/** What is to be restarted, and with what. */
export type RollingTask =
  /** A node by its name; every node when it is undefined. */
  | { readonly how: 'restart'; readonly node: string | undefined }
  /** A path here, which is the machine of the orchestrator; its own program when it is undefined. */
  | { readonly how: 'upgrade'; readonly binary: string | undefined }

/** Restarts nodes one after the other, with another program when it is an upgrade. Gives the exit code. */
export async function roll(
  task: RollingTask & { readonly detach: boolean },
  { json }: Form,
  { address, timeoutMs }: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const client = new ControlClient(address)
  try {
    const view = viewOf(await begin(() => ask(client, task, timeoutMs)))
    const say = (words: string) => context.out(json ? `${JSON.stringify(view)}\n` : `${words}\n`)
    if (view.id === '') say(`nothing to do, it is so already: ${view.what}`)
    else if (task.detach) say(`operation ${view.id}: ${view.what}; kvorum operations shows how far it is`)
    else return await follow(client, view, { json, context, clock })
    return EXIT.ok
  } finally {
    client.close()
  }
}

function ask(client: ControlClient, task: RollingTask, deadlineMs: number): Promise<Operation> {
  if (task.how === 'restart') return client.restart(task.node ?? '', { deadlineMs })
  return client.upgrade(task.binary === undefined ? '' : resolve(task.binary), { deadlineMs })
}
