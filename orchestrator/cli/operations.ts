import { type Clock, systemClock } from '../core/clock.js'
import { invalidArgument } from '../errors/index.js'
import { Steer } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { amountOf, type OperationView, operationsText, operationText, viewOf } from './operation-view.js'
import { withControl } from './with-control.js'

/** What can be done to an operation. */
export const STEERS = ['pause', 'resume', 'cancel'] as const

const WIRE = { pause: Steer.PAUSE, resume: Steer.RESUME, cancel: Steer.CANCEL } as const

/** Lists the operations. */
export async function listOperations(
  { json }: Form,
  connection: Connection,
  { out }: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const operations = await withControl(connection, (client, deadline) => client.operations(deadline))
  const views = operations.map(viewOf)
  out(json ? `${JSON.stringify({ operations: views.map(brief) }, null, 2)}\n` : operationsText(views, clock.now()))
  return EXIT.ok
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
  connection: Connection,
  { out }: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const operations = await withControl(connection, (client, deadline) => client.operations(deadline))
  const found = operations.find((one) => one.id === id)
  if (found === undefined) {
    const message = `there is no operation ${JSON.stringify(id)}; kvorum operations lists them`
    throw invalidArgument(message)
  }
  const view = viewOf(found)
  out(json ? `${JSON.stringify(view, null, 2)}\n` : operationText(view, clock.now()))
  return EXIT.ok
}

/** Pauses, resumes or cancels one. */
export async function steerOperation(
  how: (typeof STEERS)[number],
  id: string,
  { json }: Form,
  connection: Connection,
  { out }: Context,
): Promise<number> {
  const steered = await withControl(connection, (client, deadline) => client.steer(id, WIRE[how], deadline))
  const view = viewOf(steered)
  out(json ? `${JSON.stringify(view)}\n` : `operation ${view.id} is ${view.state}: ${view.what}\n`)
  return EXIT.ok
}
