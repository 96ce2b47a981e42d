import { type Clock, sleep, systemClock } from '../core/clock.js'
import { KvError } from '../errors/index.js'
import type { DrainOrder, DrainResponse } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import { withControl } from './with-control.js'

/** What is to be drained, or not any more, and how it is asked for. */
export interface DrainTask extends DrainOrder {
  /** Leaders that have to go are not waited for. */
  readonly detach: boolean
}

const LOOK_EVERY_MS = 200
/** How long a leader may stay that cannot be moved: past that a person has to know. */
const STUCK_MS_MAX = 15_000

/**
 * Has a node or a machine lead nothing, or lead again. Returns when nothing of it leads any more. Gives the exit code; rejects with a
 * KvError when it could not be asked for.
 */
export function drain(
  { detach, ...order }: DrainTask,
  { json }: Form,
  connection: Connection,
  context: Context,
  clock: Clock = systemClock,
): Promise<number> {
  return withControl(connection, async (client, deadline) => {
    const ask = () => client.drain(order, deadline)
    const first = await ask()
    const waits = !order.undo && !order.dryRun && !detach
    const last = waits ? await awaitLeft(first, ask, context, json, clock) : first
    context.out(json ? `${JSON.stringify(viewOf(last))}\n` : textOf(order, last))
    return waits && last.moves.length > 0 ? EXIT.failed : EXIT.ok
  })
}

/** Asks again until nothing is left to be moved, or nothing has moved for too long. */
async function awaitLeft(
  first: DrainResponse,
  ask: () => Promise<DrainResponse>,
  { warn, interrupted }: Context,
  json: boolean,
  clock: Clock,
): Promise<DrainResponse> {
  let [last, since] = [first, clock.monotonic()]
  if (!json && first.moves.length > 0) warn(`${words(first.nodes.length, 'node')} drained; waiting for leaders to go\n`)
  while (last.moves.length > 0 && clock.monotonic() - since < STUCK_MS_MAX) {
    await sleep(clock, LOOK_EVERY_MS, interrupted)
    try {
      const now = await ask()
      if (now.moves.length < last.moves.length) since = clock.monotonic()
      last = now
    } catch (error) {
      // Whoever runs the cluster may be another one in a moment, and finds it written down.
      if (!(error instanceof KvError) || clock.monotonic() - since >= STUCK_MS_MAX) throw error
    }
  }
  return last
}

/** What `--json` prints: stable, for programs. */
function viewOf({ nodes, moves }: DrainResponse) {
  return {
    nodes,
    moves: moves.map(({ shard, from, to, detail }) => ({ shard, from, to: to === '' ? null : to, detail })),
  }
}

function textOf({ undo, dryRun, ...order }: DrainOrder, { nodes, moves }: DrainResponse): string {
  const what = order.machine === '' ? nodes.join(', ') : `machine ${order.machine} (${words(nodes.length, 'node')})`
  const list = moves
    .map(({ from, to, detail }) => `  ${from} ${to === '' ? `leads on: ${detail}` : `hands over to ${to}`}\n`)
    .join('')
  if (dryRun)
    return `${what} would be ${undo ? 'undrained' : 'drained'}${moves.length > 0 ? '' : '; no leader would move'}\n${list}`
  if (undo) return `${what} may lead again${moves.length > 0 ? '; spreading moves' : ''}\n${list}`
  if (moves.length === 0) return `${what} is drained: it leads nothing until kvorum node undrain\n`
  return `${what} is drained, and what it leads goes as soon as that can be\n${list}`
}

function words(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
