import { type Clock, sleep } from '../core/clock.js'
import type { Bystander, Situation } from '../wire/standby.js'
import type { PeerLinks } from './peers.js'

export interface FollowerDeps {
  readonly peers: Pick<PeerLinks, 'standBy'>
  readonly clock: Clock
  /** Who listens: this orchestrator. */
  readonly who: () => Bystander
  /** What another one says. Throws what makes it somebody who is not to be listened to. */
  readonly heard: (situation: Situation) => void
  /** Whether the holder can be heard has changed. */
  readonly changed: () => void
}

const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 500

/** Listens to the holder of the control lease, or to whoever of the others knows more, whatever becomes of them. */
export class Follower {
  readonly #deps: FollowerDeps
  /** Gateways of the cluster. The one that is most likely the holder's comes first. */
  #addresses: readonly string[]
  #holder: string | undefined
  /** Ends the listening that is going on. */
  #listening = new AbortController()
  #listensTo = ''

  constructor(deps: FollowerDeps, addresses: readonly string[]) {
    this.#deps = deps
    this.#addresses = addresses
  }

  /** Every one that is known, this orchestrator's own left out. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** Of who says now that it holds the lease; undefined when nobody does. */
  get holder(): string | undefined {
    return this.#holder
  }

  /** Somebody else says that this is the holder's. */
  prefer(address: string): void {
    if (address === '' || address === this.#deps.who().address) return
    this.#addresses = [address, ...this.#addresses.filter((one) => one !== address)]
    if (this.#listensTo !== address) this.#listening.abort()
  }

  /** Goes on until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = RETRY_MS_MIN
    for (let turn = 0; !signal.aborted; turn++) {
      const address = this.#addresses[turn % this.#addresses.length]
      const came = address !== undefined && (await this.#listen(address, signal))
      if (came) {
        // Whoever was meant to be preferred meanwhile is asked first.
        turn = -1
        pauseMs = RETRY_MS_MIN
      }
      await sleep(this.#deps.clock, pauseMs, signal).catch(() => {})
      pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 1.5)
    }
  }

  /** Listens to one until it breaks or is not to be listened to. Says whether anything came. */
  async #listen(address: string, signal: AbortSignal): Promise<boolean> {
    const { peers, who, heard } = this.#deps
    this.#listening = new AbortController()
    this.#listensTo = address
    let came = false
    try {
      for await (const situation of peers.standBy(address, who(), AbortSignal.any([signal, this.#listening.signal]))) {
        heard(situation)
        came = true
        this.#becomes(situation.holds ? address : undefined)
        if (!situation.holds) this.prefer(situation.holder)
      }
    } catch {
      // Gone, paused, of another cluster or of another version: the next one is asked.
    }
    this.#becomes(undefined)
    return came
  }

  #becomes(holder: string | undefined): void {
    if (holder === this.#holder) return
    this.#holder = holder
    this.#deps.changed()
  }
}
