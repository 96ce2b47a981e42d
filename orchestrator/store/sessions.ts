import type { OpenSessionOperation, Result } from '../core/operation.js'
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
 * The sessions of a client, by shard. One a shard will do; while one of its writes takes long it may run out of numbers,
 * and another one takes over until then. They open when a write needs them, one at a time and shard.
 */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #shards = new Map<number, Pool>()
  /** Where each write waits that does. */
  readonly #waiting = new Map<Call, Pool>()

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /** Gives a write a number in the shard, or lets it wait: it is routed anew when a session is open. */
  stamp(call: Call, shard: number): boolean {
    const pool = this.#poolOf(shard)
    const session = pool.pick()
    if (session !== undefined) {
      call.stamp = { session, sequence: session.take() }
      return true
    }
    this.#waiting.set(call, pool)
    pool.waiting.add(call)
    this.#options.executor.park(call)
    if (pool.opening === undefined) this.#open(pool, call.operation.key)
    call.waitsFor = pool.opening
    return false
  }

  /** The write waits no more. A session that nobody waits for is not opened, unless it may be open already. */
  forget(call: Call): void {
    const pool = this.#waiting.get(call)
    if (pool === undefined) return
    this.#waiting.delete(call)
    pool.waiting.delete(call)
    if (pool.opening === undefined || pool.opening.attempts > 0 || pool.waiting.size > 0) return
    this.#options.executor.cancel(pool.opening, undefined)
  }

  /** Nobody knows the session of the write any more: further writes take another. */
  expired(call: Call): void {
    const session = call.stamp?.session
    if (session instanceof Session) for (const pool of this.#shards.values()) pool.drop(session)
  }

  #poolOf(shard: number): Pool {
    const found = this.#shards.get(shard)
    if (found !== undefined) return found
    const made = new Pool()
    this.#shards.set(shard, made)
    return made
  }

  #open(pool: Pool, key: Uint8Array): void {
    const { executor, rng, deadlineMs } = this.#options
    const nonce = BigInt(`0x${rng.id().slice(0, 16)}`)
    const operation: OpenSessionOperation = { kind: 'open-session', key, nonce, expiryMs: EXPIRY_MS }
    const opening = executor.submit(operation, deadlineMs, (error, result) => {
      pool.opening = undefined
      this.#opened(pool, error, result)
    })
    // It may be done already.
    if (!opening?.settled) pool.opening = opening
  }

  #opened(pool: Pool, error: KvError | undefined, result: Result | undefined): void {
    if (result?.kind === 'open-session') pool.add(new Session(result.id))
    const waiting = [...pool.waiting]
    pool.waiting.clear()
    for (const call of waiting) {
      this.#waiting.delete(call)
      call.waitsFor = undefined
      if (error === undefined) this.#options.executor.release(call)
      else this.#options.executor.fail(call, unsent(error))
    }
  }
}

/** Whatever became of the opening, the write that waited for it was not sent. */
function unsent(error: KvError): KvError {
  if (error.outcome === 'not-applied') return error
  return kvError(error.code, error.message, { ...error, outcome: 'not-applied', cause: error })
}

/** The sessions in one shard. */
class Pool {
  /** The opening of another one. */
  opening: Call | undefined
  /** Writes that wait for it. */
  readonly waiting = new Set<Call>()
  #all: Session[] = []
  #current: Session | undefined

  /** One that has a number left. */
  pick(): Session | undefined {
    if (!this.#current?.hasRoom) this.#current = this.#all.find(({ hasRoom }) => hasRoom)
    return this.#current
  }

  add(session: Session): void {
    this.#all.push(session)
  }

  drop(session: Session): void {
    this.#all = this.#all.filter((one) => one !== session)
    if (this.#current === session) this.#current = undefined
  }
}
