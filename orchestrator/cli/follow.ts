import { type Clock, sleep, systemClock } from '../core/clock.js'
import { KvError, kvError, UnavailableError } from '../errors/index.js'
import type { ControlClient, Operation } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { amountText, hasEnded, isStuck, type OperationView, skippedIn, viewOf } from './operation-view.js'
import { Progress } from './progress.js'
import { withControl } from './with-control.js'

/** How long an orchestrator may be away before its operation is no longer waited for. */
const AWAY_MS_MAX = 60_000
const RECONNECT_MS = 500

/** An operation that a command begins. */
export interface Beginning {
  readonly ask: (client: ControlClient, deadlineMs: number) => Promise<Operation>
  /** What is said when nothing is to be done. */
  readonly nothing: (view: OperationView) => string
  /** Does not wait for the end. */
  readonly detach: boolean
}

/**
 * Begins an operation, says so, and follows it to its end. Gives the exit code; rejects with a KvError when it could not be begun
 * or followed.
 */
export function carryThrough(
  { ask, nothing, detach }: Beginning,
  { json }: Form,
  connection: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  return withControl(connection, async (client, { deadlineMs }) => {
    const before = await open(client, deadlineMs)
    const view = viewOf(await begin(() => ask(client, deadlineMs)))
    const began = before.has(view.id) ? `${view.id} is under way already, ${amountText(view)}` : view.id
    const say = (words: string) => context.out(json ? `${JSON.stringify(view)}\n` : `${words}\n`)
    if (view.id === '') say(nothing(view))
    else if (detach) say(`operation ${began}: ${view.what}; ${laterOf(view)}`)
    else return follow(client, view, began, { json, context, clock })
    return EXIT.ok
  })
}

/** What a person does who does not wait. */
function laterOf({ id, state }: OperationView): string {
  return state === 'paused'
    ? `it is paused, and kvorum operations resume ${id} lets it go on`
    : 'kvorum operations shows how far it is'
}

/** The operations that have not ended: asked for again, one of them is carried on, and that is to be said. */
async function open(client: ControlClient, deadlineMs: number): Promise<ReadonlySet<string>> {
  const operations = await client.operations({ deadlineMs })
  return new Set(operations.filter((one) => !hasEnded(viewOf(one))).map(({ id }) => id))
}

/** Asks for an operation. When nobody knows whether it has begun, the failure says where to look. */
async function begin(ask: () => Promise<Operation>): Promise<Operation> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof KvError) || error.outcome !== 'unknown') throw error
    const message = `${error.message}: it may have begun, kvorum operations shows it`
    throw kvError(error.code, message, { ...error, cause: error })
  }
}

/** Whom to tell, and how. */
interface Following {
  readonly json: boolean
  readonly context: Context
  readonly clock: Clock
}

/** Shows how far an operation is until it has ended, or needs a person. Gives the exit code. */
async function follow(
  client: ControlClient,
  begun: OperationView,
  began: string,
  { json, context, clock }: Following,
): Promise<number> {
  const say = (words: string): void => {
    if (!json) context.warn(`${words}\n`)
  }
  const { id, what } = begun
  const undo = begun.keys === null ? 'takes it back' : 'ends it: what is deleted by then stays deleted'
  say(`operation ${began}: ${what}; it goes on without this command, kvorum operations cancel ${id} ${undo}`)
  if (begun.state === 'paused') say(`it is paused: kvorum operations resume ${id} lets it go on`)
  const progress = new Progress(context, clock)
  let last = begun
  const away = (): void => {
    progress.clear()
    say('the server is away: waiting for it')
  }
  for await (const operation of updates(client, id, { clock, away, interrupted: context.interrupted })) {
    last = viewOf(operation)
    if (isStuck(last)) break
    if (!json && !hasEnded(last)) progress.show(last)
  }
  progress.clear()
  if (isStuck(last)) {
    say(`operation ${id} has paused: ${last.detail}`)
    say(`kvorum operations resume ${id} tries again, and cancel ${id} leads back`)
  }
  const skipped = hasEnded(last) ? skippedIn(last) : []
  for (const { what, detail } of skipped) say(`skipped: ${what}: ${detail}`)
  context.out(
    json
      ? `${JSON.stringify(last)}\n`
      : `operation ${last.id} is ${last.state}: ${last.what}${last.keys === null ? '' : `; ${amountText(last)}`}\n`,
  )
  return last.state === 'done' && skipped.length === 0 ? EXIT.ok : EXIT.failed
}

interface Patience {
  readonly clock: Clock
  /** Is told when nobody answers. */
  readonly away: () => void
  readonly interrupted: AbortSignal | undefined
}

/** Goes on when the orchestrator dies and comes back: so does the operation. */
async function* updates(
  client: ControlClient,
  id: string,
  { clock, away, interrupted = new AbortController().signal }: Patience,
): AsyncGenerator<Operation> {
  let lostAt: number | undefined
  for (;;) {
    try {
      for await (const operation of client.watch(id, interrupted)) {
        lostAt = undefined
        yield operation
        if (hasEnded(viewOf(operation))) return
      }
    } catch (error) {
      if (!(error instanceof KvError) || error.code === 'INVALID_ARGUMENT' || interrupted.aborted) throw error
    }
    if (lostAt === undefined) {
      lostAt = clock.monotonic()
      away()
    }
    if (clock.monotonic() - lostAt > AWAY_MS_MAX) {
      const message = `nothing was heard of operation ${id} for ${AWAY_MS_MAX / 1_000} s; it goes on when Kvorum is started`
      throw new UnavailableError(message, { outcome: 'unknown' })
    }
    await sleep(clock, RECONNECT_MS, interrupted)
  }
}
