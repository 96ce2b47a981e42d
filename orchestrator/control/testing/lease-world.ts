import type { Rng } from '../../core/rng.js'
import { ManualClock } from '../../core/testing/manual-clock.js'
import { PreconditionFailedError, UnavailableError } from '../../errors/index.js'
import { silent } from '../../telemetry/index.js'
import { FencedStore, stamp, unseal } from '../fence.js'
import { Lease } from '../lease.js'
import { LEASE_KEY } from '../lease-record.js'
import type { KvLink, Links } from '../links.js'
import { MetaStore } from '../meta-store.js'

// Orchestrators around one meta, whose messages, clocks and lives are in the hands of a test.

/** What they all write. */
const KEYS = ['a', 'b']
/** How many turns of the event loop let everything happen that has been set off. */
const TURNS = 12

/** A write that took effect. */
export interface Effect {
  readonly key: string
  readonly term: number
}

/** A holder acts from here on. */
interface Begin {
  readonly term: number
  /** How many effects there had been. */
  readonly after: number
}

interface Message {
  /** Has its effect at meta; the sender hears of it only if that has not died. */
  readonly arrive: () => void
  readonly lose: () => void
}

export class LeaseWorld {
  readonly rows = new Map<string, { value: Uint8Array; version: bigint }>()
  readonly effects: Effect[] = []
  readonly begins: Begin[] = []
  readonly messages: Message[] = []
  readonly contenders: Contender[] = []
  #versions = 0n
  #names = 0

  constructor(readonly rng: Rng) {}

  add(rate: number): Contender {
    const contender = new Contender(this, `o${++this.#names}`, rate)
    this.contenders.push(contender)
    return contender
  }

  /** So much time passes. Nobody's clock says exactly that. */
  async pass(ms: number): Promise<void> {
    for (const one of this.contenders) one.pass(ms)
    await settle()
  }

  /** Some messages arrive, in any order; some, or their answers, are lost. */
  async deliver(count: number, lossShare: number): Promise<void> {
    for (let left = count; left > 0 && this.messages.length > 0; left--) {
      const [message] = this.messages.splice(Math.floor(this.rng.float() * this.messages.length), 1)
      if (this.rng.float() < lossShare) message?.lose()
      else message?.arrive()
      await settle()
    }
  }

  linksOf(from: Contender): Pick<Links, 'kv'> {
    const name = (bytes: Uint8Array) => Buffer.from(bytes).toString()
    const kv: KvLink = {
      close: () => {},
      get: (bytes) =>
        this.#send(from, () => {
          const row = this.rows.get(name(bytes))
          return { found: row !== undefined, value: row?.value ?? new Uint8Array(), version: row?.version ?? 0n }
        }),
      put: (bytes, value, { ifVersion }) =>
        this.#send(from, () => {
          const key = name(bytes)
          const version = this.rows.get(key)?.version ?? 0n
          if (version !== ifVersion) {
            throw new PreconditionFailedError('other version', { outcome: 'not-applied', version })
          }
          this.rows.set(key, { value, version: ++this.#versions })
          if (key !== LEASE_KEY) this.effects.push({ key, term: unseal(value).term })
          return { version: this.#versions }
        }),
      delete: () => Promise.reject(new TypeError('nobody deletes here')),
    }
    return { kv: () => kv }
  }

  #send<T>(from: Contender, effect: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const hear = (answer: () => void) => from.hear(answer)
      const lost = () => hear(() => reject(new UnavailableError('lost', { outcome: 'unknown' })))
      const arrive = () => {
        try {
          const answer = effect()
          if (this.rng.float() < 0.1) lost()
          else hear(() => resolve(answer))
        } catch (error) {
          hear(() => reject(error as Error))
        }
      }
      this.messages.push({ arrive, lose: lost })
    })
  }
}

/** One orchestrator: as long as it lives it wants the lease, and writes everything whenever it has it. */
export class Contender {
  readonly clock = new ManualClock()
  readonly lease: Lease
  #pause: 'no' | 'process' | 'machine' = 'no'
  #dead = false
  #heard: (() => void)[] = []
  readonly #end = new AbortController()

  constructor(
    private readonly world: LeaseWorld,
    readonly name: string,
    private readonly rate: number,
  ) {
    const meta = { shard: 0, isReady: true, leader: { address: 'm:1', status: undefined }, until: async () => {} }
    const links = { ...world.linksOf(this), node: () => Promise.reject(new TypeError('no nodes')) as never }
    const store = new MetaStore({ clusterId: 'c', meta, links, clock: this.clock })
    this.lease = new Lease({
      store,
      clock: this.clock,
      telemetry: silent,
      holder: name,
      address: () => `${name}:1`,
      registry: name,
      stamp: async (term, signal) => {
        for (const key of KEYS) await stamp(store, key, term, signal)
      },
    })
    this.lease.start()
    void this.#write(new FencedStore(store, this.lease)).catch(() => {})
  }

  get isDead(): boolean {
    return this.#dead
  }

  get isPaused(): boolean {
    return this.#pause !== 'no'
  }

  /** Of a machine that stands still the clock does so as well: it knows nothing of it afterwards. */
  pause(what: 'process' | 'machine'): void {
    this.#pause = what
  }

  resume(): void {
    this.#pause = 'no'
    const heard = this.#heard
    this.#heard = []
    for (const answer of heard) answer()
    // What was due meanwhile is due now.
    this.clock.advance(0)
  }

  /** What it has sent may still arrive. */
  die(): void {
    this.#dead = true
    this.#end.abort(new Error('dead'))
    void this.lease.close()
  }

  hear(answer: () => void): void {
    if (this.#dead) return
    if (this.isPaused) this.#heard.push(answer)
    else answer()
  }

  pass(ms: number): void {
    if (this.#dead || this.#pause === 'machine') return
    if (this.#pause === 'process') this.clock.skip(ms * this.rate)
    else this.clock.advance(ms * this.rate)
  }

  async #write(store: FencedStore): Promise<void> {
    const term = await this.lease.begun(this.#end.signal)
    this.world.begins.push({ term, after: this.world.effects.length })
    for (let count = 0; ; count++) {
      for (const key of KEYS) {
        // As `agree` does it: what somebody else wrote is read again, and changed anew.
        for (let written: bigint | undefined; written === undefined; ) {
          const { version } = await store.read(key, this.#end.signal)
          const value = Buffer.from(`${this.name} ${count}`)
          written = await store.replace(key, value, version, this.#end.signal)
        }
      }
    }
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve))
}
