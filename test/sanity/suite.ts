// The sanity check: random operations on a store and on a Map, which must agree on every answer.
import type { TextClient } from '../harness/workload.js'
import { type Random, seeded } from './random.js'

export interface SanityOptions {
  readonly populate: number
  readonly iterations: number
  readonly seed: number
  /** Called now and then with what is done, for a person who watches. */
  readonly onProgress?: (done: number, total: number) => void
}

export type Verb = 'populate' | 'put' | 'delete' | 'get existing' | 'get absent' | 'verify'

export interface Row {
  readonly verb: Verb
  readonly latenciesMs: number[]
  /** The store answered something else than the Map. */
  wrong: number
  /** The store did not answer. */
  errors: number
}

export interface SanityReport {
  readonly rows: readonly Row[]
  /** The first few disagreements, in words. */
  readonly faults: readonly string[]
}

const KEY = { min: 30, max: 50 }
const VALUE = { min: 60, max: 100 }
const FAULTS_SHOWN_MAX = 10
const PROGRESS_EVERY = 250
/** After so many failed operations there is nothing more to learn. */
const ERRORS_MAX = 3

/** The mix of the second phase; the shares add up to 1. */
const MIX: readonly (readonly [Verb, number])[] = [
  ['put', 0.15],
  ['delete', 0.35],
  ['get existing', 0.4],
  ['get absent', 0.1],
]

export async function runSanity(client: TextClient, options: SanityOptions): Promise<SanityReport> {
  const suite = new Suite(client, seeded(options.seed))
  const total = options.populate + options.iterations
  for (let done = 1; done <= total && !suite.hopeless; done++) {
    await (done <= options.populate ? suite.put('populate') : suite.step())
    if (done % PROGRESS_EVERY === 0) options.onProgress?.(done, total)
  }
  if (!suite.hopeless) await suite.verify()
  return suite.report()
}

class Suite {
  readonly #client: TextClient
  readonly #random: Random
  readonly #reference = new Map<string, string>()
  /** The same keys in an array, to draw one at random. */
  readonly #keys: string[] = []
  readonly #deleted: string[] = []
  readonly #rows = new Map<Verb, Row>()
  readonly #faults: string[] = []
  #errors = 0

  constructor(client: TextClient, random: Random) {
    this.#client = client
    this.#random = random
  }

  get hopeless(): boolean {
    return this.#errors >= ERRORS_MAX
  }

  async step(): Promise<void> {
    const verb = this.#random.pick(MIX)
    if (verb === 'put') await this.put('put')
    else if (verb === 'delete') await this.#delete()
    else if (verb === 'get existing') await this.#get(verb, this.#existingKey())
    else await this.#get('get absent', this.#freshKey())
  }

  async put(verb: 'populate' | 'put'): Promise<void> {
    const key = this.#freshKey()
    const value = this.#random.text(VALUE.min, VALUE.max)
    const done = await this.#measured(verb, () => this.#client.put(key, value))
    if (!done) return
    this.#reference.set(key, value)
    this.#keys.push(key)
  }

  /** Reads back everything that should be there and everything that should be gone. */
  async verify(): Promise<void> {
    for (const key of [...this.#keys, ...this.#deleted]) await this.#get('verify', key)
  }

  report(): SanityReport {
    return { rows: [...this.#rows.values()], faults: this.#faults }
  }

  async #delete(): Promise<void> {
    const at = this.#random.below(this.#keys.length)
    const key = this.#keys[at] ?? this.#freshKey()
    const done = await this.#measured('delete', () => this.#client.delete(key))
    if (!done) return
    this.#reference.delete(key)
    this.#deleted.push(key)
    const last = this.#keys.pop()
    if (last !== undefined && last !== key) this.#keys[at] = last
  }

  async #get(verb: 'get existing' | 'get absent' | 'verify', key: string): Promise<void> {
    await this.#measured(verb, async () => {
      const found = await this.#client.get(key)
      const expected = this.#reference.get(key) ?? null
      if (found !== expected) this.#wrong(verb, `get(${key}) gave ${found}, the Map has ${expected}`)
    })
  }

  async #measured(verb: Verb, work: () => Promise<unknown>): Promise<boolean> {
    const begin = performance.now()
    try {
      await work()
      this.#row(verb).latenciesMs.push(performance.now() - begin)
      return true
    } catch (error) {
      this.#row(verb).errors++
      this.#errors++
      this.#fault(`${verb}: ${error instanceof Error ? error.message : String(error)}`)
      return false
    }
  }

  #wrong(verb: Verb, what: string): void {
    this.#row(verb).wrong++
    this.#fault(what)
  }

  #fault(what: string): void {
    if (this.#faults.length < FAULTS_SHOWN_MAX) this.#faults.push(what)
  }

  #row(verb: Verb): Row {
    const row = this.#rows.get(verb) ?? { verb, latenciesMs: [], wrong: 0, errors: 0 }
    this.#rows.set(verb, row)
    return row
  }

  #existingKey(): string {
    return this.#keys[this.#random.below(this.#keys.length)] ?? this.#freshKey()
  }

  #freshKey(): string {
    return this.#random.text(KEY.min, KEY.max)
  }
}
