// Writes down every call and every return. One clock for all clients: they live in one process.
import { KvError } from '../../../orchestrator/errors/index.js'
import { END, type HistoryLine, type Op, type Outcome } from '../model/format.js'

/** What a client was told by a success; by its way it may be told less. */
export interface Told {
  readonly got?: string | null
  readonly version?: number
  readonly length?: number
  readonly existed?: boolean
  readonly sum?: number
  readonly succeeded?: boolean
  readonly balances?: readonly (number | null)[]
  readonly returned?: true
  readonly previous?: string | null
}

export interface Asked {
  readonly client: string
  readonly key: string
  readonly op: Op
  readonly value?: string
  readonly ifVersion?: number
  readonly expected?: string | null
  readonly by?: number
  readonly ttlMs?: number
  readonly from?: number
  readonly to?: number
  readonly staleMs?: number
}

/** A failure whose outcome is known by other means than a KvError. */
export class ToldError extends Error {
  constructor(
    readonly code: string,
    readonly outcome: Outcome,
  ) {
    super(`${code} (${outcome})`)
  }
}

/** Is told of every call that ends: `atMs` by the clock of performance.now(). */
export type Watcher = (atMs: number, latencyMs: number, good: boolean) => void

export class Recorder {
  readonly #watch: Watcher
  #lines: HistoryLine[] = []
  #ids = 0
  #values = 0

  constructor(watch: Watcher) {
    this.#watch = watch
  }

  get lines(): readonly HistoryLine[] {
    return this.#lines
  }

  /** Unlike any other of this recorder. */
  freshValue(): string {
    return `${(this.#values++).toString(36)}${END}`
  }

  /** A read of which only an answer is of interest: a failure leaves no trace, and gives undefined. */
  async recordAnswer(asked: Asked, call: () => Promise<Told>): Promise<HistoryLine | undefined> {
    const begin = performance.now()
    const told = await call().catch((error: unknown) => {
      if (error instanceof TypeError) throw error
    })
    if (told === undefined) return undefined
    const times = { call: micros(begin), return: micros(performance.now()) }
    const line: HistoryLine = { id: this.#ids++, ...asked, ...times, outcome: 'ok', ...told }
    this.#lines.push(line)
    return line
  }

  /**
   * A write to a node that need not lead. What is refused leaves no trace: any trace of its value is a violation. It is not
   * watched: refusals are nobody's failures here.
   */
  async recordUnlessRefused(asked: Asked, call: () => Promise<Told>): Promise<HistoryLine | undefined> {
    const begin = performance.now()
    const [outcome, rest] = await call().then((told): [Outcome, Partial<HistoryLine>] => ['ok', told], failureOf)
    if (outcome === 'not-applied') return undefined
    const end = outcome === 'unknown' ? null : micros(performance.now())
    const line: HistoryLine = { id: this.#ids++, ...asked, call: micros(begin), return: end, outcome, ...rest }
    this.#lines.push(line)
    return line
  }

  /** Gives the line; a failure is a line as well. Throws only for mistakes of the program. */
  async record(asked: Asked, call: () => Promise<Told>): Promise<HistoryLine> {
    const id = this.#ids++
    const begin = performance.now()
    const keep = (outcome: Outcome, rest: Partial<HistoryLine>): HistoryLine => {
      const end = performance.now()
      this.#watch(end, end - begin, outcome === 'ok' || outcome === 'precondition')
      const times = { call: micros(begin), return: outcome === 'unknown' ? null : micros(end) }
      const line: HistoryLine = { id, ...asked, ...times, outcome, ...rest }
      this.#lines.push(line)
      return line
    }
    try {
      return keep('ok', await call())
    } catch (error) {
      return keep(...failureOf(error))
    }
  }
}

export function micros(ms: number): number {
  return Math.round(ms * 1000)
}

function failureOf(error: unknown): [Outcome, Partial<HistoryLine>] {
  if (error instanceof TypeError) throw error
  if (error instanceof ToldError) return [error.outcome, { code: error.code }]
  if (!(error instanceof KvError)) return ['unknown', { code: String(error) }]
  const { code, outcome, version } = error
  if (code !== 'PRECONDITION_FAILED') return [outcome, { code }]
  return ['precondition', { code, ...(version === undefined ? {} : { version: Number(version) }) }]
}
