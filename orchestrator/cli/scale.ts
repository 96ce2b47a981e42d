import { type Clock, systemClock } from '../core/clock.js'
import { ControlClient } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { begin, follow } from './follow.js'
import { type OperationView, planText, viewOf } from './operation-view.js'

export interface ScaleTask {
  /** Of what there are to be so many. */
  readonly what: 'shards' | 'replicas'
  readonly count: number
  /** Does not wait for the end. */
  readonly detach: boolean
  readonly dryRun: boolean
}

/** Changes the number of shards, or of replicas. Gives the exit code; rejects with a KvError when it could not be begun or followed. */
export async function scale(
  { what, count, detach, dryRun }: ScaleTask,
  { json }: Form,
  { address, timeoutMs }: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const client = new ControlClient(address)
  try {
    const ask = () => client[what === 'shards' ? 'scale' : 'replicas'](count, { deadlineMs: timeoutMs, dryRun })
    const view = viewOf(await (dryRun ? ask() : begin(ask)))
    const tell = (words: string, of: OperationView) => context.out(json ? `${JSON.stringify(of)}\n` : `${words}\n`)
    if (dryRun) context.out(json ? `${JSON.stringify({ ...view, state: 'planned' })}\n` : planText(view))
    else if (view.id === '') tell(`there are ${count} ${what} already`, view)
    else if (detach) tell(`operation ${view.id}: ${view.what}; kvorum operations shows how far it is`, view)
    else return await follow(client, view, { json, context, clock })
    return EXIT.ok
  } finally {
    client.close()
  }
}
