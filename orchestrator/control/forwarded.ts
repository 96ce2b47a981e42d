import { type Clock, sleep } from '../core/clock.js'
import { KvError, UnavailableError } from '../errors/index.js'
import type { ControlHandlers, GroupReport, Operation } from '../wire/control.js'
import { NotHolder } from './faults.js'
import type { ControlLink, PeerLinks } from './peers.js'

export interface ForwardDeps {
  readonly peers: Pick<PeerLinks, 'control'>
  readonly clock: Clock
  /** Of the gateway of who says now that it holds the lease. */
  readonly holder: () => string | undefined
  /** Resolves when that may have changed, or when `signal` is aborted. */
  readonly change: (signal: AbortSignal) => Promise<void>
  /** The handlers of this orchestrator, once it holds the lease itself. */
  readonly own: () => ControlHandlers | undefined
  /** For when there is no holder. */
  readonly look: () => Promise<{ readonly epoch: bigint; readonly groups: GroupReport[] }>
  readonly journal: (signal: AbortSignal) => Promise<Operation[]>
}

/** Asks whoever holds the lease, in either way. */
type Order = <T>(there: (link: ControlLink) => Promise<T>, here: (own: ControlHandlers) => Promise<T>) => Promise<T>

/** How long a holder is waited for, and how long it may then take: both within what `kvorum` waits. */
const PATIENCE_MS = 2_500
const CALL = { deadlineMs: 4_500 }
const LOOK_MS = 1_500
const RETRY_MS = 100

/** What an orchestrator answers to people's tools: what the holder of the lease does, which may be itself. */
export function forwardedHandlers(deps: ForwardDeps): ControlHandlers {
  const order: Order = (there, here) => ask(deps, PATIENCE_MS, there, here)
  return {
    status: async () => {
      try {
        return await ask(
          deps,
          0,
          (link) => link.status({ deadlineMs: LOOK_MS }),
          (own) => own.status(),
        )
      } catch (error) {
        if (isGone(error)) return deps.look()
        throw error
      }
    },
    operations: async () => {
      const asked = (link: ControlLink) => link.operations({ deadlineMs: LOOK_MS })
      try {
        return [...(await ask(deps, 0, asked, (own) => own.operations()))]
      } catch (error) {
        if (isGone(error) && deps.own() === undefined)
          return withPatience(deps.clock, LOOK_MS, (signal) => deps.journal(signal))
        throw error
      }
    },
    scale: (shards, dryRun) =>
      order(
        (link) => link.scale(shards, { ...CALL, dryRun }),
        (own) => own.scale(shards, dryRun),
      ),
    replicas: (replicas, dryRun) =>
      order(
        (link) => link.replicas(replicas, { ...CALL, dryRun }),
        (own) => own.replicas(replicas, dryRun),
      ),
    replaceNode: (node) =>
      order(
        (link) => link.replaceNode(node, CALL),
        (own) => own.replaceNode(node),
      ),
    drain: (wish) =>
      order(
        (link) => link.drain(wish, CALL),
        (own) => own.drain(wish),
      ),
    restart: (node) =>
      order(
        (link) => link.restart(node, CALL),
        (own) => own.restart(node),
      ),
    upgrade: (program) =>
      order(
        (link) => link.upgrade(program, CALL),
        (own) => own.upgrade(program),
      ),
    deletePrefix: (prefix, all) =>
      order(
        (link) => link.deletePrefix(prefix, { ...CALL, all }),
        (own) => own.deletePrefix(prefix, all),
      ),
    steer: (id, steer) =>
      order(
        (link) => link.steer(id, steer, CALL),
        (own) => own.steer(id, steer),
      ),
    watch: (id, signal) => watched(id, deps, signal),
  }
}

/** Follows an operation from holder to holder: each goes on where the one before it stopped. */
async function* watched(id: string, deps: ForwardDeps, signal: AbortSignal): AsyncGenerator<Operation> {
  while (!signal.aborted) {
    try {
      const from = await holding(deps, signal)
      if (from.own !== undefined) {
        yield* from.own.watch(id, signal)
        return
      }
      const link = deps.peers.control(from.address)
      try {
        yield* link.watch(id, signal)
        return
      } finally {
        link.close()
      }
    } catch (error) {
      if (signal.aborted || !isGone(error)) throw error
      await sleep(deps.clock, RETRY_MS, signal).catch(() => {})
    }
  }
}

type Holding =
  | { readonly own: ControlHandlers; readonly address?: undefined }
  | { readonly own?: undefined; readonly address: string }

/** Who holds the lease, as soon as somebody does. */
async function holding({ own, holder, change }: ForwardDeps, signal: AbortSignal): Promise<Holding> {
  for (;;) {
    const here = own()
    if (here !== undefined) return { own: here }
    const address = holder()
    if (address !== undefined) return { address }
    signal.throwIfAborted()
    await change(signal)
  }
}

/** Asks the holder, or this orchestrator itself if it has become that. Rejects with UNAVAILABLE when there is none in time. */
async function ask<T>(
  deps: ForwardDeps,
  patienceMs: number,
  there: (link: ControlLink) => Promise<T>,
  here: (own: ControlHandlers) => Promise<T>,
): Promise<T> {
  const found = await withPatience(deps.clock, patienceMs, (signal) => holding(deps, signal))
  if (found.own !== undefined) return stillHolding(here(found.own))
  const link = deps.peers.control(found.address)
  try {
    return await there(link)
  } finally {
    link.close()
  }
}

async function withPatience<T>(clock: Clock, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const impatient = new AbortController()
  const why = 'no orchestrator holds the control lease now: ask again in some seconds'
  const end = () => impatient.abort(new UnavailableError(why, { outcome: 'not-applied' }))
  const timer = clock.setTimeout(end, ms)
  try {
    return await work(impatient.signal)
  } finally {
    timer.cancel()
  }
}

/** Whether it says that the holder has gone, and nothing of what was asked. */
function isGone(error: unknown): boolean {
  return error instanceof KvError && ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED'].includes(error.code)
}

/** Whoever has lost the lease while it was asked does not know what became of it. */
async function stillHolding<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof NotHolder)) throw error
    throw new UnavailableError(`${error.message}: ask again`, { outcome: 'unknown', cause: error })
  }
}
