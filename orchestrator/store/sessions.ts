import { type OpenSessionOperation, type Result, SESSION_WINDOW } from '../core/operation.js'
import type { Rng } from '../core/rng.js'
import { type KvError, kvError } from '../errors/index.js'
import type { Call } from './call.js'
import type { Executor } from './executor.js'
import { Session } from './session.js'

export interface SessionsOptions {
  readonly executor: Executor
  readonly rng: Rng
  /** How long an opening may take, ms. */
  readonly deadlineMs: number
}

/** How long the shard remembers a session that writes nothing. */
const EXPIRY_MS = 60 * 60 * 1000

/**
 * The sessions of a client, by shard. One a shard will do; while one of its writes takes long, or when many are under way,
 * it may run out of numbers, and others help. They open when writes need them: as many at once as those who wait need,
 * because an opening waits behind the writes before it.
 */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #shards = new Map<number, Pool>()
  /** Where each write waits that does. */
  readonly #waiting = new Map<Call, Pool>()

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /** Gives a write a number in the shard, or lets it wait for one: then it is routed anew when it has it. */
  stamp(call: Call, shard: number): boolean {
    const pool = this.#poolOf(shard)
    // Nobody overtakes those who wait.
    if (pool.waiting.size === 0 && give(pool, call)) return true
    this.#waiting.set(call, pool)
    pool.waiting.add(call)
    this.#options.executor.park(call)
    if (pool.openings.size * SESSION_WINDOW < pool.waiting.size) this.#open(pool, call.operation.key)
    call.waitsFor = pool.openings.values().next().value
    return false
  }

  /** The write waits no more, and perhaps others need not. */
  forget(call: Call): void {
    const waited = this.#waiting.get(call)
    if (waited !== undefined) this.#leave(waited, call)
    const pool = call.shard && this.#shards.get(call.shard.id)
    if (pool !== undefined && pool.waiting.size > 0) this.#admit(pool)
  }

  /** Forgets the sessions of all other shards. Nobody may wait there: who did was routed anew. */
  retain(shards: ReadonlySet<number>): void {
    for (const [id, pool] of this.#shards) {
      if (shards.has(id)) continue
      this.#shards.delete(id)
      for (const opening of [...pool.openings]) this.#options.executor.cancel(opening, undefined)
    }
  }

  /** Nobody knows the session of the write any more: further writes take another. */
  expired(call: Call): void {
    const session = call.stamp?.session
    if (session instanceof Session) for (const pool of this.#shards.values()) pool.drop(session)
  }

  #poolOf(shard: number): Pool {
    const found = this.#shards.get(shard)
    if (found !== undefined) return found
    const made = new Pool(shard)
    this.#shards.set(shard, made)
    return made
  }

  /** A session that nobody waits for is not opened, unless it may be open already. */
  #leave(pool: Pool, call: Call): void {
    this.#waiting.delete(call)
    pool.waiting.delete(call)
    if (pool.waiting.size > 0) return
    for (const opening of [...pool.openings]) {
      if (opening.attempts === 0) this.#options.executor.cancel(opening, undefined)
    }
  }

  #open(pool: Pool, key: Uint8Array): void {
    const { executor, rng, deadlineMs } = this.#options
    const nonce = BigInt(`0x${rng.id().slice(0, 16)}`)
    const operation: OpenSessionOperation = { kind: 'open-session', key, nonce, expiryMs: EXPIRY_MS, shard: pool.shard }
    let opening: Call | undefined
    opening = executor.submit(operation, deadlineMs, (error, result) => {
      if (opening !== undefined) pool.openings.delete(opening)
      this.#opened(pool, error, result)
    })
    // It may be done already.
    if (opening !== undefined && !opening.settled) pool.openings.add(opening)
  }

  #opened(pool: Pool, error: KvError | undefined, result: Result | undefined): void {
    if (result?.kind === 'open-session') pool.add(result.id)
    this.#admit(pool)
    if (error === undefined) return
    // Those that no other opening is for.
    const covered = pool.openings.size * SESSION_WINDOW
    for (const call of [...pool.waiting].slice(covered)) {
      this.#release(pool, call)
      this.#options.executor.fail(call, unsent(error))
    }
  }

  /** Gives numbers to those who wait, as far as there are any. */
  #admit(pool: Pool): void {
    // A write may end as soon as it goes, and lead back here.
    if (pool.admitting) return
    pool.admitting = true
    for (const call of pool.waiting) {
      if (!give(pool, call)) break
      this.#release(pool, call)
      this.#options.executor.release(call)
    }
    pool.admitting = false
  }

  #release(pool: Pool, call: Call): void {
    this.#waiting.delete(call)
    pool.waiting.delete(call)
    call.waitsFor = undefined
  }
}

function give(pool: Pool, call: Call): boolean {
  const session = pool.pick()
  if (session === undefined) return false
  call.stamp = { session, sequence: session.take() }
  return true
}

/** Whatever became of the opening, the write that waited for it was not sent. */
function unsent(error: KvError): KvError {
  if (error.outcome === 'not-applied') return error
  return kvError(error.code, error.message, { ...error, outcome: 'not-applied', cause: error })
}

/** The sessions in one shard. */
class Pool {
  /** The openings of others. */
  readonly openings = new Set<Call>()
  /** Writes that wait for a number, in their order. */
  readonly waiting = new Set<Call>()
  admitting = false
  #all = new Set<Session>()
  /** Those that may have a number left; the last one is in use. */
  #roomy: Session[] = []

  constructor(readonly shard: number) {}

  /** One that has a number left. */
  pick(): Session | undefined {
    for (;;) {
      const session = this.#roomy.at(-1)
      if (session === undefined || session.hasRoom) return session
      this.#roomy.pop()
    }
  }

  add(id: Uint8Array): void {
    const session = new Session(id, this.shard, (freed) => {
      if (this.#all.has(freed) && !this.#roomy.includes(freed)) this.#roomy.push(freed)
    })
    this.#all.add(session)
    this.#roomy.push(session)
  }

  drop(session: Session): void {
    if (this.#all.delete(session)) this.#roomy = this.#roomy.filter((one) => one !== session)
  }
}
