// Carries a schedule out.
import { setTimeout as pause } from 'node:timers/promises'
import type { FaultPlan, Healing, Scene, ScheduledFault } from './fault.js'
import { kindOf } from './kinds.js'

/** What became of a scheduled fault. Times are those of performance.now(). */
export interface Injected {
  readonly plan: FaultPlan
  readonly what: string
  readonly shards: readonly number[]
  readonly beganMs: number
  readonly healedMs: number
}

export interface Injections {
  readonly done: readonly Injected[]
  /** Could not begin: no leader just then, say. Nothing was broken. */
  readonly skipped: readonly string[]
  /** Could not be ended: what was broken stays broken. */
  readonly unhealed: readonly string[]
}

export type Announce = (text: string) => void

/** Resolves when every fault has ended. An abort of the scene's signal ends them at once. */
export async function injectAll(
  scene: Scene,
  faults: readonly ScheduledFault[],
  announce: Announce,
): Promise<Injections> {
  const done: Injected[] = []
  const skipped: string[] = []
  const unhealed: string[] = []
  const start = performance.now()
  /** The end of the last fault of the orchestrator: a start that takes long must not be met by the next one. */
  let orchestrator: Promise<void> = Promise.resolve()
  const one = async ({ atMs, plan }: ScheduledFault): Promise<void> => {
    if (!(await waited(scene, start + atMs - performance.now()))) return
    if (!isOfTheOrchestrator(plan)) return strike(plan)
    orchestrator = orchestrator.then(() => (scene.signal.aborted ? undefined : strike(plan)))
    return orchestrator
  }
  const strike = async (plan: FaultPlan): Promise<void> => {
    const beganMs = performance.now()
    const healing = await begin(scene, plan).catch((error: unknown) => {
      skipped.push(`${plan.kind}: ${inWords(error)}`)
      return undefined
    })
    if (healing === undefined) return
    announce(healing.what)
    await lasted(scene, plan.forMs, healing.ended)
    try {
      await healing.heal()
    } catch (error) {
      unhealed.push(`${healing.what}: ${inWords(error)}`)
    }
    done.push({ plan, what: healing.what, shards: healing.shards, beganMs, healedMs: performance.now() })
  }
  await Promise.all(faults.map(one))
  return { done, skipped, unhealed }
}

function isOfTheOrchestrator({ kind, target }: FaultPlan): boolean {
  return target.of === 'orchestrator' || target.of === 'everything' || kindOf(kind).restarts === true
}

function begin(scene: Scene, plan: FaultPlan): Promise<Healing> {
  return kindOf(plan.kind).inject(scene, plan)
}

/** False when the run ended first. */
async function waited({ signal }: Scene, ms: number): Promise<boolean> {
  if (ms > 0) await pause(ms, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}

/** Until its time is over, or it has ended by itself. */
async function lasted({ signal }: Scene, ms: number, ended: Promise<void> | undefined): Promise<void> {
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  void ended?.then(() => over.abort())
  if (ms > 0) await pause(ms, undefined, { signal: either }).catch(() => undefined)
}

function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message} (${inWords(error.cause)})`
}
