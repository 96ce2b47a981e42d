// The run over time: throughput, latency, and under both what was broken.
import { scaleOf, short } from '../../../bench/chart/scale.js'
import * as svg from '../../../bench/chart/svg.js'
import type { Injected } from '../faults/inject.js'
import type { RunResult } from '../run/result.js'

const WIDTH = 1_160
const RATE_HEIGHT = 180
const LATENCY_HEIGHT = 140
const LANE_HEIGHT = 16
const TOP = 60
const GAP = 34
const BAR_WIDTH_MIN = 2
/** On the axis below. */
const TIMES_WISHED = 10
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400]
/** Lanes are for people: kinds beyond share the last colour. */
const OPACITY = 0.16

export function picture({ timeline }: RunResult): string {
  const { startMs, widthMs, buckets, faults } = timeline
  const totalMs = Math.max(1, buckets.length) * widthMs
  const kinds = [...new Set(faults.map(({ plan }) => plan.kind))].sort()
  const left = svg.AXIS_WIDTH + 90
  const right = WIDTH - 24
  const x = (ms: number): number => left + (Math.min(Math.max(ms, 0), totalMs) / totalMs) * (right - left)
  const rate: svg.Box = { left, right, top: TOP, bottom: TOP + RATE_HEIGHT }
  const latency: svg.Box = { left, right, top: rate.bottom + GAP, bottom: rate.bottom + GAP + LATENCY_HEIGHT }
  const lanes: svg.Box = {
    left,
    right,
    top: latency.bottom + GAP,
    bottom: latency.bottom + GAP + kinds.length * LANE_HEIGHT,
  }
  const times = buckets.map((_, at) => x((at + 0.5) * widthMs))
  const rates = buckets.map(({ good }) => (good * 1_000) / widthMs)
  // A moment without an answer has no latency.
  const p99s = buckets.map(({ good, p99Ms }) => (good === 0 ? undefined : p99Ms))
  return svg.svgDocument(WIDTH, lanes.bottom + 60, 'Operations while things break', [
    ...faults.map((fault) => band(fault, kinds, startMs, x, rate.top, lanes.bottom)),
    ...curve(rate, times, rates, false, 'operations/s', svg.colourOf(0)),
    ...curve(latency, times, p99s, true, 'p99, ms (log)', svg.colourOf(1)),
    ...kinds.map((kind, at) =>
      svg.label(left - 8, lanes.top + (at + 0.75) * LANE_HEIGHT, kind, { 'font-size': 11, 'text-anchor': 'end' }),
    ),
    ...faults.map((fault) => bar(fault, kinds, startMs, x, lanes.top)),
    ...timeAxis(totalMs, x, lanes.bottom),
  ])
}

function curve(
  box: svg.Box,
  times: readonly number[],
  values: readonly (number | undefined)[],
  logarithmic: boolean,
  name: string,
  stroke: string,
): string[] {
  const known = values.filter((value) => value !== undefined)
  const scale = scaleOf(known, logarithmic)
  const ticks = scale.ticks.map((tick) => ({ share: scale.at(tick) ?? 0, text: short(tick) }))
  const lines = stretches(values).map(({ from, to }) => {
    const points = times.slice(from, to).map((time, at) => {
      const y = svg.heightAt(box, scale.at(values[from + at] ?? 0) ?? 0)
      return `${time.toFixed(1)},${y.toFixed(1)}`
    })
    // One point alone is a line from itself to itself, whose caps are seen.
    const shown = points.length === 1 ? [...points, ...points] : points
    const look = { fill: 'none', stroke, 'stroke-width': 1.2, 'stroke-linecap': 'round' }
    return svg.element('polyline', { points: shown.join(' '), ...look })
  })
  return [
    svg.verticalAxis(box, 'left', name, ticks),
    svg.line(box.left, box.bottom, box.right, box.bottom, svg.COLOUR.axis),
    ...lines,
  ]
}

/** The parts of a curve between its gaps, `to` excluded. */
function stretches(values: readonly (number | undefined)[]): { readonly from: number; readonly to: number }[] {
  const begins = values.flatMap((value, at) => (value !== undefined && values[at - 1] === undefined ? [at] : []))
  return begins.map((from) => {
    const length = values.slice(from).indexOf(undefined)
    return { from, to: length < 0 ? values.length : from + length }
  })
}

type Place = (ms: number) => number

function band(
  fault: Injected,
  kinds: readonly string[],
  startMs: number,
  x: Place,
  top: number,
  bottom: number,
): string {
  const place = { ...span(fault, startMs, x), y: top, height: bottom - top }
  return svg.element('rect', {
    ...place,
    fill: svg.colourOf(kinds.indexOf(fault.plan.kind)),
    'fill-opacity': String(OPACITY),
  })
}

function bar(fault: Injected, kinds: readonly string[], startMs: number, x: Place, top: number): string {
  const lane = kinds.indexOf(fault.plan.kind)
  const place = { ...span(fault, startMs, x), y: top + lane * LANE_HEIGHT + 3, height: LANE_HEIGHT - 5 }
  const seconds = ((fault.beganMs - startMs) / 1000).toFixed(1)
  const hint = svg.element('title', {}, svg.escapeText(`${seconds} s: ${fault.what}`))
  return svg.element('rect', { ...place, fill: svg.colourOf(lane) }, hint)
}

function span(
  { beganMs, healedMs }: Injected,
  startMs: number,
  x: Place,
): { readonly x: number; readonly width: number } {
  const from = x(beganMs - startMs)
  return { x: from, width: Math.max(BAR_WIDTH_MIN, x(healedMs - startMs) - from) }
}

function timeAxis(totalMs: number, x: Place, y: number): string[] {
  const seconds = totalMs / 1000
  const step = STEPS_S.find((one) => seconds / one <= TIMES_WISHED) ?? seconds
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, at) => at * step)
  const texts = ticks.map((at) =>
    svg.label(x(at * 1000), y + 18, shown(at), {
      'font-size': svg.SIZE.tick,
      'text-anchor': 'middle',
      fill: svg.COLOUR.faint,
    }),
  )
  const name = svg.label((x(0) + x(totalMs)) / 2, y + 40, 'minutes:seconds', { 'text-anchor': 'middle' })
  return [svg.line(x(0), y, x(totalMs), y, svg.COLOUR.axis), ...texts, name]
}

function shown(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}
