// Time without service, fault by fault.
import type { Injected } from '../faults/inject.js'

/** What follows a fault so long after its end still counts as its doing. */
const TAIL_MS = 2_000

export type WayName = 'direct' | 'gateway'

/** The longest gap on a shard by a way, of those that begin before `to` and end after `from`. */
export type LongestGap = (way: WayName, shard: number, from: number, to: number) => number

/** How long nobody was served while one fault went on; the longest of the shards that it struck. */
export interface Gap {
  readonly kind: string
  /** No other fault struck the same shards meanwhile. */
  readonly alone: boolean
  readonly directMs: number
  readonly gatewayMs: number
}

/** For comparison: the longest gap while nothing was wrong. */
export const CALM = 'nothing'
/** Behind the kind of a fault of meta. */
const OF_META = ' of meta'

/**
 * Meta serves no keys: a fault of it has a line of its own, with the longest gap of any shard meanwhile, which is to be that of
 * nothing. `shards`: all of them.
 */
export function gapsOf(faults: readonly Injected[], shards: readonly number[], longest: LongestGap): Gap[] {
  return faults.map((fault) => {
    const { plan, beganMs, healedMs } = fault
    const ofMeta = fault.shards.length === 0
    const measured = ofMeta ? shards : fault.shards
    const over = (way: WayName): number =>
      Math.max(...measured.map((shard) => longest(way, shard, beganMs, healedMs + TAIL_MS)))
    const alone = !faults.some((other) => other !== fault && meets({ ...fault, shards: measured }, other))
    return {
      kind: ofMeta ? `${plan.kind}${OF_META}` : plan.kind,
      alone,
      directMs: over('direct'),
      gatewayMs: over('gateway'),
    }
  })
}

/** Whether the other one strikes what is measured for this one. */
function meets(fault: Injected, other: Injected): boolean {
  // What strikes meta, or the gateway alone, still takes the machine's attention: only time and shards count.
  const together = fault.beganMs <= other.healedMs + TAIL_MS && other.beganMs <= fault.healedMs + TAIL_MS
  return together && fault.shards.some((shard) => other.shards.includes(shard))
}

/** One line of the table. */
export interface Service {
  readonly kind: string
  /** All of them, and those that were alone: the figures are of these. */
  readonly faults: number
  readonly alone: number
  readonly direct: Quantiles
  readonly gateway: Quantiles
  /** With other faults beside it. */
  readonly composedMsMax: number | undefined
}

export interface Quantiles {
  readonly medianMs: number | undefined
  readonly p99Ms: number | undefined
}

export function serviceOf(gaps: readonly Gap[]): Service[] {
  const kinds = [...new Set(gaps.map(({ kind }) => kind))].sort()
  return kinds.map((kind) => {
    const all = gaps.filter((gap) => gap.kind === kind)
    const alone = all.filter((gap) => gap.alone)
    const composed = all.filter((gap) => !gap.alone).map(({ directMs, gatewayMs }) => Math.max(directMs, gatewayMs))
    return {
      kind,
      faults: all.length,
      alone: alone.length,
      direct: quantiles(alone.map(({ directMs }) => directMs)),
      gateway: quantiles(alone.map(({ gatewayMs }) => gatewayMs)),
      composedMsMax: composed.length === 0 ? undefined : Math.max(...composed),
    }
  })
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number | undefined => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
  return { medianMs: at(0.5), p99Ms: at(0.99) }
}
