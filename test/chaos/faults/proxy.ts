// The proxy between the nodes (test/chaos/faultproxy), as a process, and its orders.
import { join } from 'node:path'
import { Program } from '../../harness/process.js'
import { ROOT } from '../../harness/root.js'
import { within } from '../../harness/wait.js'

/** A direction. Parties are called as their directories are, "shard-1/node-2"; "*" is everybody. */
export interface Link {
  readonly from: string
  readonly to: string
}

/** What is wrong with a link (faultproxy/rules.go). */
export interface Rule {
  /** Packets vanish, connections stay; what was said comes when the cut ends. */
  readonly cut?: boolean
  /** Connections that `from` opens to `to` are reset. */
  readonly refuse?: boolean
  /** What `from` asks `to` gets through, the answers are lost. */
  readonly swallow?: boolean
  readonly delayMs?: number
  readonly jitterMs?: number
  /** Share of packets that are lost: pauses, and at times a reset. */
  readonly loss?: number
  readonly bytesPerSecond?: number
}

export interface LinkFault {
  readonly links: readonly Link[]
  /** In the other direction as well. */
  readonly both?: boolean
  readonly rule: Rule
  /** Then it heals, whatever becomes of us; without it, when it is healed. */
  readonly forMs?: number
}

/** What a link has seen since the beginning. Bytes and packets go from `from` to `to`, connections are opened that way. */
export interface LinkState {
  readonly connections: number
  readonly passed: number
  readonly swallowed: number
  readonly held: number
  readonly resent: number
  readonly broken: number
  readonly refused: number
}

export interface ProxyState {
  /** The file that tells of it; only of one that outlives its starter. */
  readonly kept?: string
  readonly faults: readonly string[]
  readonly links: Readonly<Record<string, LinkState>>
}

/** Whoever connects from an address that is no node's: the gateway, the orchestrator, clients. */
export const CLIENTS = 'clients'
export const ANYBODY = '*'

export const PROXY_PROGRAM = join(ROOT, 'dist/bin/chaos/faultproxy')
export const READY = /^faultproxy ready control=(\S+)$/
const READY_MS_MAX = 10_000
const END_MS_MAX = 10_000
const ORDER_MS_MAX = 5_000
const NOTHING: LinkState = { connections: 0, passed: 0, swallowed: 0, held: 0, resent: 0, broken: 0, refused: 0 }

/** Gives orders to a proxy that runs. */
export class ProxyControl {
  constructor(
    /** host:port that takes orders. */
    readonly control: string,
  ) {}

  /** Begins a fault, or changes the one of this id. It holds when this resolves. */
  async set(id: string, fault: LinkFault): Promise<void> {
    await this.#ask('PUT', `/faults/${id}`, fault)
  }

  /** Ends a fault; without an id all of them. */
  async heal(id?: string): Promise<void> {
    await this.#ask('DELETE', id === undefined ? '/faults' : `/faults/${id}`)
  }

  /** Ends the faults that are of this party alone. */
  async healParty(party: string): Promise<void> {
    await this.#ask('DELETE', `/faults?party=${encodeURIComponent(party)}`)
  }

  /** Puts the proxy before a target that opens no connections itself, and gives where it is reached from now on. */
  async front(party: string, target: string): Promise<string> {
    const opened = await this.#ask('POST', '/routes', { party, listen: '127.0.0.1:0', target })
    return (opened as { address: string }).address
  }

  async link({ from, to }: Link): Promise<LinkState> {
    return (await this.state()).links[`${from} > ${to}`] ?? NOTHING
  }

  async state(): Promise<ProxyState> {
    return (await this.#ask('GET', '/state')) as ProxyState
  }

  async #ask(method: string, path: string, order?: unknown): Promise<unknown> {
    const body = order === undefined ? undefined : JSON.stringify(order)
    const signal = AbortSignal.timeout(ORDER_MS_MAX)
    const response = await fetch(`http://${this.control}${path}`, { method, body, signal })
    if (response.ok) return response.json()
    throw new Error(`the proxy refuses ${method} ${path}: ${await response.text()}`)
  }
}

/** One that ends with us, however we end. */
export class FaultProxy extends ProxyControl {
  readonly #program: Program

  /** Whoever starts it closes it. */
  static async start(seed = 1): Promise<FaultProxy> {
    const program = new Program([PROXY_PROGRAM, 'serve', '--seed', String(seed)], { input: true })
    const [, control = ''] = await program.line(READY, READY_MS_MAX)
    return new FaultProxy(program, control)
  }

  private constructor(program: Program, control: string) {
    super(control)
    this.#program = program
  }

  /** Nothing the second time. */
  async close(): Promise<void> {
    this.#program.endInput()
    await within('the proxy to end', END_MS_MAX, this.#program.ended)
  }
}
