import type { ControlClient, Operation } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { carryThrough } from './follow.js'
import { type Processes, planText, viewOf } from './operation-view.js'
import { withControl } from './with-control.js'

export interface ScaleTask {
  /** Of what there are to be so many. */
  readonly what: 'shards' | 'replicas'
  readonly count: number
  /** Does not wait for the end. */
  readonly detach: boolean
  readonly dryRun: boolean
}

/** Changes the number of shards, or of replicas. Gives the exit code; rejects with a KvError when it could not be begun or followed. */
export async function scale(task: ScaleTask, form: Form, connection: Connection, context: Context): Promise<number> {
  if (task.dryRun) return plan(task, form, connection, context)
  const risks = await risksOf(task, connection)
  if (risks !== '') context.warn(`kvorum: mind that ${risks}\n`)
  const { what, count, detach } = task
  const beginning = {
    ask: (client: ControlClient, deadlineMs: number) => ask(client, task, deadlineMs),
    nothing: () => `there are ${count} ${what} already`,
    detach,
  }
  return carryThrough(beginning, form, connection, context)
}

/** What speaks against it, though it can be done. Whoever cannot be asked for that is asked for the change all the same. */
async function risksOf(task: ScaleTask, connection: Connection): Promise<string> {
  try {
    return await withControl(connection, async (client, { deadlineMs }) => {
      return (await ask(client, { ...task, dryRun: true }, deadlineMs)).detail
    })
  } catch {
    return ''
  }
}

/** Says what would be done. */
function plan(task: ScaleTask, { json }: Form, connection: Connection, { out }: Context): Promise<number> {
  return withControl(connection, async (client, { deadlineMs }) => {
    const view = viewOf(await ask(client, task, deadlineMs))
    const processes = await processesOf(task, client, deadlineMs)
    if (json) out(`${JSON.stringify({ ...view, state: 'planned', processes })}\n`)
    else if (view.moves.length + view.steps.length > 0) out(planText(view, processes))
    else out(`there are ${task.count} ${task.what} already; nothing was done\n`)
    return EXIT.ok
  })
}

/** How many nodes there are, and how many there would be. Meta has as many as a shard. */
async function processesOf({ what, count }: ScaleTask, client: ControlClient, deadlineMs: number): Promise<Processes> {
  const sizes = (await client.status({ deadlineMs })).groups.map(({ nodes }) => nodes.length)
  const after = what === 'shards' ? (count + 1) * Math.max(...sizes) : sizes.length * count
  return { now: sizes.reduce((sum, size) => sum + size, 0), after }
}

function ask(client: ControlClient, { what, count, dryRun }: ScaleTask, deadlineMs: number): Promise<Operation> {
  return client[what === 'shards' ? 'scale' : 'replicas'](count, { deadlineMs, dryRun })
}
