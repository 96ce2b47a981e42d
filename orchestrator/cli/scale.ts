import { type Clock, sleep, systemClock } from '../core/clock.js'
import { KvError, UnavailableError } from '../errors/index.js'
import { ControlClient, type Operation } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { hasEnded, type OperationView, planText, viewOf } from './operation-view.js'
import { Progress } from './progress.js'

export interface ScaleTask {
  readonly shards: number
  /** Does not wait for the end. */
  readonly detach: boolean
  readonly dryRun: boolean
}

/** How long an orchestrator may be away before its operation is no longer waited for. */
const AWAY_MS_MAX = 60_000
const RECONNECT_MS = 500

/** Changes the number of shards. Gives the exit code; rejects with a KvError when it could not be begun or followed. */
export async function scale(
  { shards, detach, dryRun }: ScaleTask,
  { json }: Form,
  { address, timeoutMs }: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  const client = new ControlClient(address)
  try {
    const view = viewOf(await client.scale(shards, { deadlineMs: timeoutMs, dryRun }))
    const tell = (words: string, of: OperationView) => context.out(json ? `${JSON.stringify(of)}\n` : `${words}\n`)
    if (dryRun) context.out(json ? `${JSON.stringify(view)}\n` : planText(view))
    else if (view.id === '') tell(`there are ${shards} shards already`, view)
    else if (detach) tell(`operation ${view.id}: ${view.what}; kvorum operations shows how far it is`, view)
    else return await follow(client, view, { json, context, clock })
    return EXIT.ok
  } finally {
    client.close()
  }
}

interface Following {
  readonly json: boolean
  readonly context: Context
  readonly clock: Clock
}

async function follow(
  client: ControlClient,
  begun: OperationView,
  { json, context, clock }: Following,
): Promise<number> {
  const progress = new Progress(context, clock)
  let last = begun
  for await (const operation of updates(client, begun.id, clock)) {
    last = viewOf(operation)
    if (!json && !hasEnded(last)) progress.show(last)
  }
  progress.clear()
  context.out(json ? `${JSON.stringify(last)}\n` : `operation ${last.id} is ${last.state}: ${last.what}\n`)
  return last.state === 'done' ? EXIT.ok : EXIT.failed
}

/** Goes on when the orchestrator dies and comes back: so does the operation. */
async function* updates(client: ControlClient, id: string, clock: Clock): AsyncGenerator<Operation> {
  let heard = clock.monotonic()
  const never = new AbortController().signal
  for (;;) {
    try {
      for await (const operation of client.watch(id, never)) {
        heard = clock.monotonic()
        yield operation
        if (hasEnded(viewOf(operation))) return
      }
    } catch (error) {
      if (!(error instanceof KvError) || error.code === 'INVALID_ARGUMENT') throw error
    }
    if (clock.monotonic() - heard > AWAY_MS_MAX) {
      const message = `nothing was heard of operation ${id} for ${AWAY_MS_MAX / 1_000} s; it goes on when Kvorum is started`
      throw new UnavailableError(message, { outcome: 'unknown' })
    }
    await sleep(clock, RECONNECT_MS)
  }
}
