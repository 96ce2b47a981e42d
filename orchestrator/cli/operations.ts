import { type Clock, systemClock } from '../core/clock.js'
import { InvalidArgumentError } from '../errors/index.js'
import { ControlClient, Steer } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { amountOf, type OperationView, operationsText, operationText, viewOf } from './operation-view.js'

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
    out(json ? `${JSON.stringify({ operations: views.map(brief) }, null, 2)}\n` : operationsText(views, clock.now()))
    return EXIT.ok
  } finally {
    client.close()
  }
}

/** Without what grows with the cluster: a program asks for one of them in full. */
function brief(view: OperationView): object {
  const { moves: _, steps: __, ...rest } = view
  return { ...rest, amount: amountOf(view) }
}

/** Shows one of them in full. */
export async function showOperation(
  id: string,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out }: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const client = new ControlClient(address)
  try {
    const found = (await client.operations({ deadlineMs: timeoutMs })).find((one) => one.id === id)
    if (found === undefined) {
      const message = `there is no operation ${JSON.stringify(id)}; kvorum operations lists them`
      throw new InvalidArgumentError(message, { outcome: 'not-applied' })
    }
    const view = viewOf(found)
    out(json ? `${JSON.stringify(view, null, 2)}\n` : operationText(view, clock.now()))
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
