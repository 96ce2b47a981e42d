// From values to a place on an axis. Every scale goes from one round number to another and knows the ticks between.

export interface Scale {
  readonly ticks: readonly number[]
  /** Where a value is: 0 at the axis's beginning, 1 at its end. Undefined for what a logarithmic axis cannot show. */
  at(value: number): number | undefined
}

const MANTISSAS = [1, 2, 5, 10]
const TICKS_WISHED = 6
/** With more decades than this a logarithmic axis has ticks at powers of ten only. */
const FINE_DECADES_MAX = 2
const LOG_TICKS_MAX = 8

export function scaleOf(values: readonly number[], logarithmic: boolean): Scale {
  return logarithmic ? logarithmicScale(values) : linearScale(values)
}

/** Always with zero: a length then tells the truth. */
function linearScale(values: readonly number[]): Scale {
  const finite = values.filter(Number.isFinite)
  const least = Math.min(0, ...finite)
  const most = Math.max(0, ...finite)
  const step = roundUp((most > least ? most - least : 1) / TICKS_WISHED)
  const first = Math.floor(least / step)
  const last = Math.max(first + 1, Math.ceil(most / step))
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => tidy((first + i) * step))
  const [low, high] = [first * step, last * step]
  return { ticks, at: (value) => (Number.isFinite(value) ? (value - low) / (high - low) : undefined) }
}

function logarithmicScale(values: readonly number[]): Scale {
  const positive = values.filter((value) => Number.isFinite(value) && value > 0)
  const low = roundDown(positive.length === 0 ? 1 : Math.min(...positive))
  const most = positive.length === 0 ? 10 : Math.max(...positive)
  // One value alone still needs an axis of some length.
  const high = roundUp(most > low ? most : low * 10)
  const decades = Math.log10(high / low)
  return {
    ticks: thinned(logarithmicTicks(low, high, decades <= FINE_DECADES_MAX ? [1, 2, 5] : [1])),
    at: (value) => (Number.isFinite(value) && value > 0 ? Math.log10(value / low) / decades : undefined),
  }
}

function logarithmicTicks(low: number, high: number, mantissas: readonly number[]): number[] {
  const ticks: number[] = []
  const last = Math.ceil(Math.log10(high))
  for (let power = Math.floor(Math.log10(low)); power <= last; power++) {
    for (const mantissa of mantissas) ticks.push(tidy(mantissa * 10 ** power))
  }
  return ticks.filter((tick) => tick >= tidy(low) && tick <= tidy(high))
}

function thinned(ticks: readonly number[]): readonly number[] {
  const every = Math.ceil(ticks.length / LOG_TICKS_MAX)
  return ticks.filter((_, i) => i % every === 0)
}

/** The next of 1, 2, 5 times a power of ten that is not less. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return tidy((MANTISSAS.find((one) => one * power >= value * (1 - 1e-9)) ?? 10) * power)
}

/** The next of 1, 2, 5 times a power of ten that is not greater. */
export function roundDown(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return tidy((MANTISSAS.findLast((one) => one * power <= value * (1 + 1e-9)) ?? 1) * power)
}

/** Without the dust of binary fractions: 0.3 instead of 0.30000000000000004. */
function tidy(value: number): number {
  return Number(value.toPrecision(12))
}

const SUFFIXES = [
  { from: 1e9, suffix: 'G' },
  { from: 1e6, suffix: 'M' },
  { from: 1e3, suffix: 'k' },
]

/** A number in few characters and three digits: 18.8k, 0.98, 2M. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return 'n/a'
  const rounded = Number(value.toPrecision(3))
  const { from, suffix } = SUFFIXES.find((one) => Math.abs(rounded) >= one.from) ?? { from: 1, suffix: '' }
  return `${Number((rounded / from).toPrecision(3))}${suffix}`
}
