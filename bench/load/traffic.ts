// What callers at a fixed rate notice while something else goes on.
import { setTimeout as pause } from 'node:timers/promises'
import type { KvClient } from '../../orchestrator/client/index.js'
import { Latency } from './latency.js'
import { OpenLoop } from './open-loop.js'

const KEYS = 10_000
const VALUE = Buffer.alloc(100, 'v')
const CALL = { deadlineMs: 10_000 }
/** What waited so long is worth a line, one for each so long a time. */
const SLOW_MS = 200
const SLICE_MS = 100

interface Phase {
  readonly name: string
  readonly latency: Latency
  ms: number
  failed: number
}

export class Traffic {
  readonly phases: Phase[] = []
  readonly #slow = new Map<number, { readonly tookMs: number; readonly words: string }>()
  readonly #notes: { readonly atMs: number; readonly words: string }[] = []
  readonly #ways: readonly (readonly [string, KvClient])[]
  readonly #loop: OpenLoop
  #phase: Phase | undefined

  constructor(clients: Readonly<Record<string, KvClient>>, perSecond: number) {
    this.#ways = Object.entries(clients)
    this.#loop = new OpenLoop(perSecond, (number, dueAt) => this.#call(number, dueAt))
  }

  async phase(name: string, ms: number): Promise<void> {
    await this.during(name, () => pause(ms))
  }

  /** The calls that are due while `work` goes on are told of under this name. Gives how long that took. */
  async during(name: string, work: () => Promise<unknown>): Promise<number> {
    const phase = { name, latency: new Latency(), ms: 0, failed: 0 }
    this.phases.push(phase)
    this.#phase = phase
    const begin = performance.now()
    await work()
    phase.ms = performance.now() - begin
    return phase.ms
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
  }

  /** Something was heard of what goes on. */
  note(words: string): void {
    this.#notes.push({ atMs: performance.now() - this.#loop.began, words })
  }

  /** What was noted, and the slowest call of each slice of time in which one was slow, in their order. */
  get story(): string[] {
    const slow = [...this.#slow].map(([slice, { words }]) => ({ atMs: slice * SLICE_MS, words }))
    const notes = this.#notes.map(({ atMs, words }) => ({ atMs, words: `${seconds(atMs)}: ${words}` }))
    return [...slow, ...notes].sort((a, b) => a.atMs - b.atMs).map(({ words }) => words)
  }

  async #call(number: number, dueAt: number): Promise<void> {
    const phase = this.#phase
    const [way = '', client] = this.#ways[number % this.#ways.length] ?? []
    const key = `rolling-${(number * 7919) % KEYS}`
    const isPut = Math.floor(number / this.#ways.length) % 2 === 0
    let failure = ''
    try {
      if (isPut) await client?.put(key, VALUE, CALL)
      else await client?.get(key, CALL)
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
    }
    const tookMs = performance.now() - dueAt
    if (phase === undefined) return
    phase.latency.recordMs(tookMs)
    if (failure !== '') phase.failed++
    if (tookMs < SLOW_MS && failure === '') return
    const atMs = dueAt - this.#loop.began
    const slice = Math.floor(atMs / SLICE_MS)
    if ((this.#slow.get(slice)?.tookMs ?? 0) > tookMs) return
    const what = `${isPut ? 'put' : 'get'} by ${way}`
    this.#slow.set(slice, { tookMs, words: `${seconds(atMs)}: ${what} took ${Math.round(tookMs)} ms ${failure}` })
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`
}
