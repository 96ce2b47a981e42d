// A shard more, and one less, again and again, while everything else breaks: partitions move all the time, and the processes
// that move them are struck as all others are. It is no fault: it must end, however long it is kept from it.
import { setTimeout as pause } from 'node:timers/promises'
import { ControlClient, MoveState, type Operation, OperationState, Steer } from '../../../orchestrator/wire/control.js'
import { signal as signalProcess } from '../../harness/process.js'
import type { FaultKind, FaultPlan, Healing, Scene, Shape } from './fault.js'
import type { Random } from './random.js'
import { anyShard } from './targets.js'

const MOVING_MS = { min: 3_000, max: 12_000 }
const CANCELLED_SHARE = 0.3
/** Moves are short, and what strikes at random times would miss most of them: whose leader goes in the middle of one. */
const VICTIMS = ['giver', 'receiver', 'nobody'] as const
const STOPPED_MS = 1_200
/** Each way, with everything that strikes meanwhile. */
const REACH_MS_MAX = 120_000
const CALL = { deadlineMs: 5_000 }
const SCALE = { ...CALL, dryRun: false }
const AGAIN_MS = 250
/** Most of the time is to be spent on moves. Who asks a shard that is gone about a write in doubt is told `unknown`. */
const LINGER_MS = 500

export const RESHARD: FaultKind = {
  name: 'reshard',
  about: 'a shard is added and taken away again and again while the other faults go on; at times that is cancelled',
  takes: 'process',
  prepare: async () => ({ cluster: { args: ['--linger-ms', String(LINGER_MS)] }, close: async () => undefined }),
  possible: () => true,
  // The shard only says whose other faults take no data away meanwhile: partitions come from all of them.
  draw: (shape: Shape, random: Random): FaultPlan => ({
    kind: 'reshard',
    target: { of: 'shard', shard: anyShard(shape, random) },
    forMs: random.between(MOVING_MS.min, MOVING_MS.max),
    params: {
      more: shape.shards + 1,
      back: shape.shards,
      cancelled: random.chance(CANCELLED_SHARE),
      victim: random.pick(VICTIMS),
      stopped: random.chance(0.5),
      afterMoves: random.between(0, 6),
    },
  }),
  inject: async (scene, { params }): Promise<Healing> => {
    const [more, back] = [Number(params.more), Number(params.back)]
    const cancelled = params.cancelled === true
    const resharding = new Resharding(scene, params)
    await resharding.begin(more)
    const over = new AbortController()
    const resharded = resharding.toAndFro([more, back], AbortSignal.any([scene.signal, over.signal]))
    // Told by heal.
    resharded.catch(() => undefined)
    return {
      get what() {
        return `reshard: to ${more} shards and back${cancelled ? ', cancelled in the end' : ''}: ${resharding.seen}`
      },
      shards: scene.shards.filter((shard) => shard <= back),
      heal: async () => {
        over.abort()
        await resharded
        if (cancelled) await resharding.cancel()
        await resharding.reach(back, scene.signal)
      },
    }
  },
}

class Resharding {
  readonly #scene: Scene
  readonly #params: FaultPlan['params']
  /** As they were seen last, by id. */
  readonly #operations = new Map<string, Operation>()
  /** Operations during which somebody was struck. */
  readonly #struck = new Set<string>()
  /** Processes of the leaders at the beginning of an operation, by shard. */
  #leaders: { readonly of: string; readonly pids: ReadonlyMap<number, number> } | undefined

  constructor(scene: Scene, params: FaultPlan['params']) {
    this.#scene = scene
    this.#params = params
  }

  /** What it has come to. */
  get seen(): string {
    const moves = [...this.#operations.values()].flatMap((operation) => operation.moves)
    const done = moves.filter(({ state }) => state === MoveState.DONE).length
    const attempts = moves.reduce((sum, move) => sum + move.attempts, 0)
    const { victim, stopped } = this.#params
    const strikes = `; ${this.#struck.size} times the leader of a ${victim} was ${stopped === true ? 'stopped' : 'killed'}`
    return `${this.#operations.size} operations, ${done} moves in ${attempts} attempts${victim === 'nobody' ? '' : strikes}`
  }

  /** Rejects when nothing was begun. */
  async begin(shards: number): Promise<void> {
    await this.#ask((control) => control.scale(shards, SCALE))
  }

  /** Best effort: an operation that could not be cancelled ends where it was to, and the way back begins there. */
  async cancel(): Promise<void> {
    const id = [...this.#operations.keys()].at(-1) ?? ''
    await this.#ask((control) => control.steer(id, Steer.CANCEL, CALL)).catch(() => undefined)
  }

  async toAndFro(shards: readonly number[], signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn++) await this.reach(shards[turn % shards.length] ?? 0, signal)
  }

  /** Asks for so many shards until there are so many, or the signal is aborted. */
  async reach(shards: number, signal: AbortSignal): Promise<void> {
    const limit = performance.now() + REACH_MS_MAX
    let reached = false
    let cause: unknown
    while (!reached && !signal.aborted) {
      if (performance.now() > limit) throw new Error(`not ${shards} shards after ${REACH_MS_MAX} ms`, { cause })
      try {
        reached = await this.#ask((control) => this.#follow(control, shards, signal))
      } catch (error) {
        cause = error
        await pause(AGAIN_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** Until the operation ends, or cannot be watched any more. Says whether there was nothing left to do. */
  async #follow(control: ControlClient, shards: number, signal: AbortSignal): Promise<boolean> {
    const { id, state } = await control.scale(shards, SCALE)
    if (state === OperationState.DONE) return true
    for await (const now of control.watch(id, signal)) {
      this.#operations.set(id, now)
      await this.#strike(now)
    }
    return false
  }

  /** Once in each operation, in the middle of a move. Who leads is looked up before: a move takes no longer than a look. */
  async #strike({ id, moves }: Operation): Promise<void> {
    const { victim, stopped, afterMoves } = this.#params
    if (victim === 'nobody' || this.#struck.has(id)) return
    if (this.#leaders?.of !== id) this.#leaders = { of: id, pids: await this.#pids() }
    const running = moves.find(({ state }) => state === MoveState.RUNNING)
    const done = moves.filter(({ state }) => state === MoveState.DONE).length
    const pid = this.#leaders.pids.get((victim === 'giver' ? running?.fromShard : running?.toShard) ?? 0)
    if (pid === undefined || done < Number(afterMoves)) return
    this.#struck.add(id)
    signalProcess(pid, stopped === true ? 'SIGSTOP' : 'SIGKILL')
    if (stopped !== true) return
    await pause(STOPPED_MS, undefined, { signal: this.#scene.signal }).catch(() => undefined)
    signalProcess(pid, 'SIGCONT')
  }

  /** Of the leaders, as far as there are any. */
  async #pids(): Promise<ReadonlyMap<number, number>> {
    await this.#scene.nodesOf(1)
    const leaders = this.#scene.shards.map(async (shard) => {
      const nodes = await this.#scene.nodesOf(shard)
      return nodes.filter(({ ready }) => ready).map(({ pid }) => [shard, pid] as const)
    })
    return new Map((await Promise.all(leaders)).flat())
  }

  async #ask<T>(call: (control: ControlClient) => Promise<T>): Promise<T> {
    const control = new ControlClient(this.#scene.cluster.address)
    try {
      return await call(control)
    } finally {
      control.close()
    }
  }
}
