// Holders of leases beside the traffic: each makes a lease, puts keys into it, keeps it alive for a while, and then revokes it or goes away as
// a process that dies. What a holder was told is all that it may go by, so what it must find follows from that.
import { KvClient, type Lease } from '../../../orchestrator/client/index.js'
import { KvError } from '../../../orchestrator/errors/index.js'

const TTL_MS = 2_500
/** Spread over the slots, and so over the shards. */
const KEYS = 6
const ROUNDS = 8
const CALL_MS = 2_000
/** After the last write: by then everything that has ended is gone. */
const GONE_MS_MAX = 20_000
const LOOK_MS = 50

class LeaseHolder {
  readonly faults: string[] = []
  /** Keys of leases that have ended, or end by themselves: of each, why. */
  readonly ending = new Map<string, string>()
  /** Reads of keys that had to be there, and leases that were made. */
  reads = 0
  leases = 0
  readonly #client: KvClient
  readonly #prefix: string
  readonly #stop = new AbortController()
  readonly #done: Promise<void>

  static async open(mode: 'direct' | 'gateway', endpoints: readonly string[], prefix: string): Promise<LeaseHolder> {
    const client = await KvClient.connect({ endpoints, mode, deadlineMs: CALL_MS })
    return new LeaseHolder(client, `${prefix}-${mode}`)
  }

  private constructor(client: KvClient, prefix: string) {
    this.#client = client
    this.#prefix = prefix
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#client.close({ drainMs: 0 })
  }

  /** Those of its keys that are there though nobody holds their leases. */
  async left(): Promise<string[]> {
    const left: string[] = []
    for (const [key, why] of this.ending) {
      const hit = await attempt(this.#client.get(key, { deadlineMs: GONE_MS_MAX }))
      if (hit === null) this.ending.delete(key)
      else left.push(`${key} is ${hit instanceof KvError ? hit.code : 'there'}: its lease ${why}`)
    }
    return left
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stop.signal.aborted; turn++) {
      const began = performance.now()
      const lease = await attempt(this.#client.lease.grant({ ttlMs: TTL_MS }))
      if (lease instanceof KvError) {
        if (lease.code === 'UNSUPPORTED') return
        continue
      }
      this.leases++
      await this.#hold(lease, began + TTL_MS, `${this.#prefix}-lease-${turn}`, turn % 2 === 0)
    }
  }

  async #hold(lease: Lease, until: number, name: string, revokes: boolean): Promise<void> {
    const keys = Array.from({ length: KEYS }, (_, at) => `${name}-${at}`)
    const held: string[] = []
    for (const key of keys) {
      this.ending.set(key, revokes ? 'was revoked' : 'is kept alive by nobody')
      const put = await attempt(this.#client.put(key, name, { lease }))
      if (!(put instanceof KvError)) held.push(key)
      else if (put.code === 'LEASE_NOT_FOUND' && performance.now() < until)
        this.#fault(name, 'was lost before its time')
    }
    for (let round = 0; round < ROUNDS && !this.#stop.signal.aborted; round++) {
      const began = performance.now()
      const kept = await attempt(lease.keepAlive())
      if (!(kept instanceof KvError)) until = Math.max(until, began + kept)
      else if (kept.code === 'LEASE_NOT_FOUND') {
        if (performance.now() < until) this.#fault(name, 'was lost before its time')
        break
      }
      for (const key of held) await this.#read(key, () => until)
      if (performance.now() > until) break
    }
    if (revokes) await this.#revoke(lease, held)
  }

  /** A key that was put must be there for as long as keep-alives that were answered have its lease live. */
  async #read(key: string, until: () => number): Promise<void> {
    const hit = await attempt(this.#client.get(key))
    if (hit instanceof KvError || performance.now() >= until()) return
    this.reads++
    if (hit === null) this.#fault(key, 'is gone before the time of its lease')
  }

  /** What was revoked is gone when that is answered, and takes no key any more. */
  async #revoke(lease: Lease, held: readonly string[]): Promise<void> {
    if ((await attempt(lease.revoke())) instanceof KvError) return
    for (const key of held) {
      const hit = await attempt(this.#client.get(key))
      if (hit !== null && !(hit instanceof KvError)) this.#fault(key, 'is there after its lease was revoked')
    }
    const put = await attempt(this.#client.put(held[0] ?? 'none', 'late', { lease }))
    if (!(put instanceof KvError)) this.#fault(held[0] ?? 'none', 'was put into a lease that was revoked')
  }

  #fault(what: string, how: string): void {
    this.faults.push(`${what} ${how}`)
  }
}

async function attempt<T>(call: Promise<T>): Promise<T | KvError> {
  try {
    return await call
  } catch (error) {
    if (error instanceof KvError) return error
    throw error
  }
}

export class LeaseHolders {
  readonly #holders: readonly LeaseHolder[]

  static async open(endpoints: readonly string[], prefix: string): Promise<LeaseHolders> {
    return new LeaseHolders([
      await LeaseHolder.open('direct', endpoints, prefix),
      await LeaseHolder.open('gateway', endpoints, prefix),
    ])
  }

  private constructor(holders: readonly LeaseHolder[]) {
    this.#holders = holders
  }

  /** Reads of keys that had to be there: else nothing was tested. */
  get reads(): number {
    return this.#holders.reduce((sum, { reads }) => sum + reads, 0)
  }

  /** Ends them, waits until what they have left is gone, for as long as that may take, and says what is wrong. */
  async faults(): Promise<string[]> {
    await Promise.all(this.#holders.map((holder) => holder.stop()))
    const end = performance.now() + GONE_MS_MAX
    for (;;) {
      const left = (await Promise.all(this.#holders.map((holder) => holder.left()))).flat()
      const over = left.length === 0 || performance.now() > end
      if (over) return [...this.#holders.flatMap(({ faults }) => faults), ...left]
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#holders.map((holder) => holder.close()))
  }
}
