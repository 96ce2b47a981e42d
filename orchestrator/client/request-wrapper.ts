import { checkAddress } from '../core/address.js'
import { systemClock } from '../core/clock.js'
import { DEFAULT_LIMITS, VALUE_BYTES_TOP } from '../core/limits.js'
import type { GetResult, Operation, Result } from '../core/operation.js'
import { systemRng } from '../core/rng.js'
import { decodeText, encodeText } from '../core/text.js'
import { InvalidArgumentError } from '../errors/index.js'
import { executeOn } from '../store/execute.js'
import { Executor, type ExecutorOptions } from '../store/executor.js'
import { Shard } from '../store/shard.js'

export interface RequestWrapperOptions {
  /** How long an operation may take, ms, unless it says otherwise. Default 5,000. */
  readonly deadlineMs?: number
}

export interface RequestOptions {
  /** How long this operation may take, ms. */
  readonly deadlineMs?: number
  /** Aborting it ends the operation with CANCELLED. */
  readonly signal?: AbortSignal
}

/**
 * A message may wait for a shard without a leader. The gateway answers its other operations meanwhile, but those that come
 * behind it would wait for it to be finished.
 */
const PATIENCE_MS = 50

/** The gateway knows its own limit for values; here only what no gateway takes is refused. */
const LIMITS = { ...DEFAULT_LIMITS, valueBytesMax: VALUE_BYTES_TOP }

/**
 * A client of one Kvorum gateway, for strings. One connection and one stream, whatever the number of calls at once. It
 * connects with the first call, and again when the gateway has been away. `close` it, or the process will not end.
 *
 * Calls reject with a KvError (its `outcome` says what is known of a write that failed), or with a TypeError for what is
 * a mistake of the program.
 */
export class RequestWrapper {
  readonly #deadlineMs: number
  readonly #executor: Executor
  readonly #gateway: Shard

  /** `address` is host:port. */
  constructor(address: string, options: RequestWrapperOptions = {}) {
    checkAddress(address)
    this.#deadlineMs = options.deadlineMs ?? LIMITS.deadlineMs
    const tools: ExecutorOptions = { limits: LIMITS, clock: systemClock, rng: systemRng }
    this.#executor = new Executor(
      {
        route: (call) => this.#gateway.route(call),
        learn: (call, error) => call.node !== undefined && this.#gateway.learn(call.node, error),
        forget: (call) => this.#gateway.forget(call),
      },
      tools,
    )
    this.#gateway = gatewayAt(address, tools, this.#executor)
  }

  /** The key's value, or null when it has none. */
  async get(key: string, options?: RequestOptions): Promise<string | null> {
    const { found, value } = (await this.#execute({ kind: 'get', key: encodeText(key, 'key') }, options)) as GetResult
    if (!found) return null
    const text = decodeText(value)
    if (text !== undefined) return text
    const message = 'the value is not UTF-8 text: somebody stored other bytes under this key'
    throw new InvalidArgumentError(message, { outcome: 'not-applied' })
  }

  async put(key: string, value: string, options?: RequestOptions): Promise<void> {
    await this.#execute({ kind: 'put', key: encodeText(key, 'key'), value: encodeText(value, 'value') }, options)
  }

  /** Deleting an absent key succeeds. */
  async delete(key: string, options?: RequestOptions): Promise<void> {
    await this.#execute({ kind: 'delete', key: encodeText(key, 'key') }, options)
  }

  /** Ends what is in flight with CANCELLED and frees the connection. */
  close(): void {
    this.#executor.close()
    this.#gateway.close()
  }

  #execute(operation: Operation, options: RequestOptions | undefined): Promise<Result> {
    return executeOn(this.#executor, operation, options?.deadlineMs ?? this.#deadlineMs, options?.signal)
  }
}

/** To its clients a gateway is a shard with one node, which owns everything and always leads. */
function gatewayAt(address: string, tools: ExecutorOptions, executor: Executor): Shard {
  const info = { id: 0, nodes: [{ id: address, address }] }
  return new Shard(info, {
    // Never stalled: a gateway waits for leaders on its clients' behalf, and there is nobody else to ask.
    lane: { ...tools, epoch: () => 0n, stallMs: Number.POSITIVE_INFINITY, patienceMs: PATIENCE_MS },
    park: (call) => executor.park(call),
    release: (call) => executor.release(call),
    refreshMap: () => {},
    onEvent: () => {},
  })
}
