import { type Clock, sleep, systemClock } from '../core/clock.js'
import { KvError, kvError, UnavailableError } from '../errors/index.js'
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
    const view = viewOf(await begin(client, shards, { deadlineMs: timeoutMs, dryRun }))
    const tell = (words: string, of: OperationView) => context.out(json ? `${JSON.stringify(of)}\n` : `${words}\n`)
    if (dryRun) context.out(json ? `${JSON.stringify({ ...view, state: 'planned' })}\n` : planText(view))
    else if (view.id === '') tell(`there are ${shards} shards already`, view)
    else if (detach) tell(`operation ${view.id}: ${view.what}; kvorum operations shows how far it is`, view)
    else return await follow(client, view, { json, context, clock })
    return EXIT.ok
  } finally {
    client.close()
  }
}

async function begin(
  client: ControlClient,
  shards: number,
  options: { readonly deadlineMs: number; readonly dryRun: boolean },
): Promise<Operation> {
  try {
    return await client.scale(shards, options)
  } catch (error) {
    if (!(error instanceof KvError) || options.dryRun || error.outcome !== 'unknown') throw error
    const message = `${error.message}: it may have begun, kvorum operations shows it`
    throw kvError(error.code, message, { ...error, cause: error })
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
  const say = (words: string): void => {
    if (!json) context.warn(`${words}\n`)
  }
  const { id, what } = begun
  say(`operation ${id}: ${what}; it goes on without this command, kvorum operations cancel ${id} takes it back`)
  const progress = new Progress(context, clock)
  let last = begun
  const away = (): void => {
    progress.clear()
    say('the server is away: waiting for it')
  }
  for await (const operation of updates(client, id, clock, away)) {
    last = viewOf(operation)
    if (!json && !hasEnded(last)) progress.show(last)
  }
  progress.clear()
  context.out(json ? `${JSON.stringify(last)}\n` : `operation ${last.id} is ${last.state}: ${last.what}\n`)
  return last.state === 'done' ? EXIT.ok : EXIT.failed
}

/** Goes on when the orchestrator dies and comes back: so does the operation. `away` is told when nobody answers. */
async function* updates(client: ControlClient, id: string, clock: Clock, away: () => void): AsyncGenerator<Operation> {
  let lostAt: number | undefined
  const never = new AbortController().signal
  for (;;) {
    try {
      for await (const operation of client.watch(id, never)) {
        lostAt = undefined
        yield operation
        if (hasEnded(viewOf(operation))) return
      }
    } catch (error) {
      if (!(error instanceof KvError) || error.code === 'INVALID_ARGUMENT') throw error
    }
    if (lostAt === undefined) {
      lostAt = clock.monotonic()
      away()
    }
    if (clock.monotonic() - lostAt > AWAY_MS_MAX) {
      const message = `nothing was heard of operation ${id} for ${AWAY_MS_MAX / 1_000} s; it goes on when Kvorum is started`
      throw new UnavailableError(message, { outcome: 'unknown' })
    }
    await sleep(clock, RECONNECT_MS)
  }
}
