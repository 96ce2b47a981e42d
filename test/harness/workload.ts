// Writers and readers that never stop while a test breaks things, each answer held against the register model. What
// was acknowledged, refused or left in doubt is known to the write, so `verify` can check every one of them at the end.
import { setTimeout as pause } from 'node:timers/promises'
import { Register } from './register.js'

/** The part of RequestWrapper that a workload needs. */
export interface TextClient {
  put(key: string, value: string): Promise<unknown>
  get(key: string): Promise<string | null>
  delete(key: string): Promise<unknown>
}

export interface WorkloadOptions {
  readonly client: TextClient
  readonly writers: number
  readonly readers: number
  /** A fresh key for writer `index`; each call must give a new one. */
  readonly nextKey: (index: number) => string
}

export interface Tally {
  acknowledged: number
  refused: number
  unknown: number
  reads: number
  readsFailed: number
}

const DELETE_EVERY = 8
/** Between two operations of one loop: always busy, and yet time left over for the nodes on a small machine. */
const BETWEEN_MS = 2

export class Workload {
  readonly tally: Tally = { acknowledged: 0, refused: 0, unknown: 0, reads: 0, readsFailed: 0 }
  /** What broke the model, in words. Empty is the only good value. */
  readonly violations: string[] = []
  readonly #options: WorkloadOptions
  readonly #registers: Register[] = []
  readonly #loops: Promise<void>[] = []
  #stopped = false

  constructor(options: WorkloadOptions) {
    this.#options = options
    for (let index = 0; index < options.writers; index++) this.#loops.push(this.#write(index))
    for (let index = 0; index < options.readers; index++) this.#loops.push(this.#read(index))
  }

  /** Lets every operation in flight end. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  /** Reads every key that was ever written; the store must be well again. */
  async verify(): Promise<void> {
    for (const register of this.#registers) {
      const ticket = register.beginRead()
      this.#judge(register.endRead(ticket, seenIn(register.key, await this.#options.client.get(register.key))))
    }
  }

  summary(): string {
    const { acknowledged, refused, unknown, reads, readsFailed } = this.tally
    const keys = this.#registers.length
    return (
      `${acknowledged} writes acknowledged, ${refused} refused, ${unknown} unknown, ${reads} reads, ` +
      `${readsFailed} reads failed, ${keys} keys, ${this.violations.length} violations`
    )
  }

  async #write(index: number): Promise<void> {
    let register = this.#fresh(index)
    for (let turn = 1; !this.#stopped; turn++) {
      if (register.retired) register = this.#fresh(index)
      await this.#writeOnce(register, turn % DELETE_EVERY === 0 ? 'delete' : 'put')
      await pause(BETWEEN_MS)
    }
  }

  #fresh(index: number): Register {
    const register = new Register(this.#options.nextKey(index))
    this.#registers.push(register)
    return register
  }

  async #writeOnce(register: Register, kind: 'put' | 'delete'): Promise<void> {
    const { client } = this.#options
    const number = register.begin(kind)
    try {
      await (kind === 'put' ? client.put(register.key, valueFor(register.key, number)) : client.delete(register.key))
      register.acknowledged(number)
      this.tally.acknowledged++
    } catch (error) {
      if (outcomeOf(error) === 'not-applied') {
        this.tally.refused++
        this.#judge(register.refused(number))
      } else {
        this.tally.unknown++
        register.unknown()
      }
    }
  }

  async #read(index: number): Promise<void> {
    for (let turn = index; !this.#stopped; turn++) {
      const register = this.#registers[turn % this.#registers.length]
      if (register === undefined) return
      const ticket = register.beginRead()
      try {
        const seen = seenIn(register.key, await this.#options.client.get(register.key))
        this.tally.reads++
        this.#judge(register.endRead(ticket, seen))
      } catch {
        this.tally.readsFailed++
      }
      await pause(BETWEEN_MS)
    }
  }

  #judge(fault: string | undefined): void {
    if (fault !== undefined) this.violations.push(fault)
  }
}

/** The key is part of the value, so that an answer to another key's read is found as well. */
function valueFor(key: string, number: number): string {
  return `${key}=${number}`
}

function seenIn(key: string, value: string | null): number | 'absent' {
  if (value === null) return 'absent'
  const number = Number(value.slice(key.length + 1))
  // Number.MAX_SAFE_INTEGER was never issued: the model complains.
  return value === valueFor(key, number) ? number : Number.MAX_SAFE_INTEGER
}

/** What is known of an operation that failed; an error that does not say leaves it in doubt. */
export function outcomeOf(error: unknown): 'applied' | 'not-applied' | 'unknown' {
  const outcome: unknown = error instanceof Error && 'outcome' in error ? error.outcome : undefined
  return outcome === 'not-applied' || outcome === 'applied' ? outcome : 'unknown'
}
