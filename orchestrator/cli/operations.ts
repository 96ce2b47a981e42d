import { type Clock, systemClock } from '../core/clock.js'
import { ControlClient, Steer } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { operationsText, viewOf } from './operation-view.js'

/** What can be done to an operation. */
export const STEERS = ['pause', 'resume', 'cancel'] as const

const WIRE = { pause: Steer.PAUSE, resume: Steer.RESUME, cancel: Steer.CANCEL } as const

/** Lists the operations. */
export async function listOperations(
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out }: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const client = new ControlClient(address)
  try {
    const views = (await client.operations({ deadlineMs: timeoutMs })).map(viewOf)
    out(json ? `${JSON.stringify({ operations: views }, null, 2)}\n` : operationsText(views, clock.now()))
    return EXIT.ok
  } finally {
    client.close()
  }
}

/** Pauses, resumes or cancels one. */
export async function steerOperation(
  how: (typeof STEERS)[number],
  id: string,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out }: Context,
): Promise<number> {
  const client = new ControlClient(address)
  try {
    const view = viewOf(await client.steer(id, WIRE[how], { deadlineMs: timeoutMs }))
    out(json ? `${JSON.stringify(view)}\n` : `operation ${view.id} is ${view.state}: ${view.what}\n`)
    return EXIT.ok
  } finally {
    client.close()
  }
}
