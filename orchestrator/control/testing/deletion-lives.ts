import { seededRng } from '../../core/rng.js'
import { UnavailableError } from '../../errors/index.js'
import { silent } from '../../telemetry/index.js'
import { FencedStore, stamp, type Tenure } from '../fence.js'
import type { Stored } from '../meta-keys.js'
import type { MetaStore } from '../meta-store.js'
import { wishForDeletion } from '../operations/delete-prefix.js'
import { Journal } from '../operations/journal.js'
import { stampJournal } from '../operations/journal-keys.js'
import { Operations, type OperationsDeps } from '../operations/operations.js'
import { isOver } from '../operations/record-fields.js'
import { FakeKeys } from './fake-keys.js'
import { ScaledClock } from './scaled-clock.js'

const never = new AbortController().signal

/** What happens in the world at a step of whoever deletes. */
export type Event =
  | { readonly kind: 'put' | 'remove'; readonly key: string }
  | { readonly kind: 'fail' | 'freeze' | 'pause' | 'again' | 'nothing' }

/** Meta's keys, behind the log. */
class FakeMeta {
  readonly #rows = new Map<string, { value: Uint8Array; version: bigint }>()

  async read(key: string): Promise<Stored> {
    return this.#rows.get(key) ?? { value: undefined, version: 0n }
  }

  async replace(key: string, value: Uint8Array, version: bigint): Promise<bigint | undefined> {
    if ((this.#rows.get(key)?.version ?? 0n) !== version) return undefined
    this.#rows.set(key, { value, version: version + 1n })
    return version + 1n
  }
}

interface Life {
  readonly operations: Operations
  /** It stands still, and another one has to take over. */
  readonly frozen: Promise<void>
  /** It goes on. Resolves when it has found that it is not the holder any more, or that there is nothing to do. */
  readonly thaw: () => Promise<void>
}

/** Orchestrators that delete a prefix one after the other, while what is to happen happens. */
export class DeletionLives {
  readonly keys = new FakeKeys()
  readonly #meta = new FakeMeta()
  readonly #gone: Life[] = []
  /** The keys with the prefix that there were when somebody asked for their deletion, by their versions. */
  readonly #asked: ReadonlyMap<string, bigint>[] = []
  #wishes: Promise<unknown>[] = []
  #events: readonly Event[] = []
  #term = 0

  constructor(private readonly prefix: string) {}

  /** Gives what whoever asked has been promised to be gone. */
  async play(events: readonly Event[]): Promise<readonly ReadonlyMap<string, bigint>[]> {
    this.#events = events
    let life = await this.#begin()
    this.#ask(life)
    for (;;) {
      const how = await Promise.race([life.frozen.then(() => 'frozen'), this.#end(life).then(() => 'ended')])
      if (how === 'ended') break
      this.#gone.push(life)
      // Nobody has answered them.
      this.#wishes = []
      life = await this.#begin()
      this.#wish(this.#resume(life))
      // Who asked has no answer, and asks again.
      if (this.#asked.length === 0) this.#ask(life)
    }
    this.#events = []
    await life.operations.close()
    return this.#asked
  }

  /** How many it says that it has deleted, in all operations. */
  async told(): Promise<number> {
    const journal = new Journal(
      new FencedStore(
        this.#meta as unknown as MetaStore,
        tenureOf(this.#term, () => {}),
      ),
    )
    const records = await journal.load(never)
    return records.reduce((sum, record) => sum + (record.kind === 'delete-prefix' ? record.deleted : 0), 0)
  }

  /** Those that stand still go on, and what they had sent arrives. */
  async thawAll(): Promise<void> {
    this.keys.arrive()
    await Promise.all(this.#gone.map((life) => life.thaw()))
  }

  async #begin(): Promise<Life> {
    const term = ++this.#term
    await stampJournal((key) => stamp(this.#meta as unknown as MetaStore, key, term, never))
    let [freeze, thaw, deposed] = [() => {}, () => {}, () => {}]
    const frozen = new Promise<void>((resolve) => {
      freeze = resolve
    })
    const thawed = new Promise<void>((resolve) => {
      thaw = resolve
    })
    const stumbled = new Promise<void>((resolve) => {
      deposed = resolve
    })
    let isFrozen = false
    const pass = async (what: string): Promise<void> => {
      if (isFrozen) return thawed
      const [event = { kind: 'nothing' }, ...rest] = this.#events
      this.#events = rest
      if (event.kind === 'freeze') {
        isFrozen = true
        freeze()
        return thawed
      }
      this.#happen(event, what, life)
    }
    const meta = {
      read: (key: string) => this.#meta.read(key),
      replace: async (key: string, value: Uint8Array, version: bigint) => {
        await pass('meta')
        return this.#meta.replace(key, value, version)
      },
    }
    const tenure = tenureOf(term, deposed)
    const deps = {
      journal: new Journal(new FencedStore(meta as unknown as MetaStore, tenure)),
      clock: new ScaledClock(),
      telemetry: silent,
      rng: seededRng(term),
      publisher: { maps: undefined },
      openKeys: () => this.keys.open(pass),
    }
    const operations = new Operations(deps as unknown as OperationsDeps)
    const goOn = async () => {
      thaw()
      await stumbled
      await operations.close()
    }
    const life: Life = { operations, frozen, thaw: goOn }
    operations.start()
    return life
  }

  #happen(event: Event, what: string, life: Life): void {
    switch (event.kind) {
      case 'put':
        this.keys.put(event.key)
        return
      case 'remove':
        this.keys.rows.delete(event.key)
        return
      case 'fail':
        if (what !== 'meta') throw new UnavailableError('no leader', { outcome: 'unknown' })
        return
      case 'again':
        this.#ask(life)
        return
      case 'pause':
        this.#wish(this.#pauseAndResume(life))
        return
      default:
    }
  }

  #ask({ operations }: Life): void {
    const there = new Map([...this.keys.rows].filter(([key]) => key.startsWith(this.prefix)))
    const wish = wishForDeletion(Buffer.from(this.prefix), false)
    this.#wish(operations.begin(wish, never).then(() => this.#asked.push(there)))
  }

  #wish(work: Promise<unknown>): void {
    // Of one that stands still nobody waits for it.
    work.catch(() => {})
    this.#wishes.push(work)
  }

  async #pauseAndResume(life: Life): Promise<void> {
    const open = (await life.operations.list(never)).find(({ record }) => !isOver(record))
    // It may end meanwhile.
    if (open !== undefined) await life.operations.steer(open.record.id, 'pause', never).catch(() => {})
    await this.#resume(life)
  }

  async #resume({ operations }: Life): Promise<void> {
    for (const { record } of await operations.list(never)) {
      if (!isOver(record)) await operations.steer(record.id, 'resume', never).catch(() => {})
    }
  }

  /** When nothing is under way, and nobody wants anything. */
  async #end({ operations }: Life): Promise<void> {
    do {
      const wishes = this.#wishes
      this.#wishes = []
      await Promise.all(wishes)
      for (const { record } of await operations.list(never)) {
        if (isOver(record)) continue
        for await (const _ of operations.watch(record.id, never, never)) {
        }
      }
    } while (this.#wishes.length > 0)
  }
}

/** Of one whose clock stands still: it holds the lease for as long as it has not read otherwise. */
function tenureOf(term: number, deposed: () => void): Tenure {
  return { begun: async () => term, held: async () => term, deposed }
}
