import { type Clock, sleep } from '../core/clock.js'
import { KvError, kvError, UnavailableError } from '../errors/index.js'
import type { ControlClient, Operation } from '../wire/control.js'
import type { Context } from './context.js'
import { EXIT } from './exit-codes.js'
import { hasEnded, isStuck, type OperationView, viewOf } from './operation-view.js'
import { Progress } from './progress.js'

/** How long an orchestrator may be away before its operation is no longer waited for. */
const AWAY_MS_MAX = 60_000
const RECONNECT_MS = 500

/** Asks for an operation. When nobody knows whether it has begun, the failure says where to look. */
export async function begin(ask: () => Promise<Operation>): Promise<Operation> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof KvError) || error.outcome !== 'unknown') throw error
    const message = `${error.message}: it may have begun, kvorum operations shows it`
    throw kvError(error.code, message, { ...error, cause: error })
  }
}

/** Whom to tell, and how. */
export interface Following {
  readonly json: boolean
  readonly context: Context
  readonly clock: Clock
}

/** Shows how far an operation is until it has ended, or needs a person. Gives the exit code. */
export async function follow(
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
    if (isStuck(last)) break
    if (!json && !hasEnded(last)) progress.show(last)
  }
  progress.clear()
  if (isStuck(last)) {
    say(`operation ${id} has paused: ${last.detail}`)
    say(`kvorum operations resume ${id} tries again, and cancel ${id} leads back`)
  }
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
