import { type Scale, scaleOf, short } from './scale.js'
import * as svg from './svg.js'

export interface Axis {
  readonly label: string
  readonly logarithmic: boolean
  /** How a tick is written; a short number unless this says otherwise. */
  readonly shown?: (value: number) => string
}

export interface LineSeries {
  readonly name: string
  readonly axis?: 'y' | 'y2'
  readonly points: readonly (readonly [number, number])[]
}

/** A part of the x axis that has a name. */
export interface Span {
  readonly name: string
  readonly from: number
  readonly to: number
}

export interface LineChartOptions {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly y2?: Axis
  readonly series: readonly LineSeries[]
  readonly spans?: readonly Span[]
  /** Whether points have marks; they do unless there are too many of them. Default 'points'. */
  readonly marks?: 'points' | 'none'
}

const WIDTH = 860
const PLOT_HEIGHT = 360
const LEGEND_TOP = 52
const MARGIN = 24
const KEY_WIDTH = 32
/** Space between the frame and the first and last point. */
const INSET = 24
/** An axis of a sweep has its ticks at the points, as long as their texts do not touch. */
const POINT_TICKS_MAX = 12
const TICK_GAP = 10

interface Scales {
  readonly x: Scale
  readonly y: Scale
  readonly y2: Scale
}

/**
 * Lines over x; those of the right axis are dashed and have open marks. The first series of each axis has the first
 * colour and mark, and so on: two that are given in the same order are seen to belong together.
 */
export function lineChart(options: LineChartOptions): string {
  const { title, x, y, y2, series, spans = [], marks = 'points' } = options
  const numbers = numbersOf(series)
  const left = svg.AXIS_WIDTH + MARGIN / 2
  const right = Math.max(WIDTH, svg.textWidth(title, svg.SIZE.title)) - (y2 === undefined ? MARGIN : left)
  const legend = svg.legend(
    series.map((one, i) => keyOf(one, numbers[i] ?? i)),
    left,
    LEGEND_TOP,
    right + (y2 === undefined ? 0 : svg.AXIS_WIDTH),
  )
  const top = LEGEND_TOP + legend.height + MARGIN
  const box: svg.Box = { left, right, top, bottom: top + PLOT_HEIGHT }
  const scales = scalesOf(options)
  return svg.svgDocument(right + (y2 === undefined ? MARGIN : left), box.bottom + 64, title, [
    legend.svg,
    svg.verticalAxis(box, 'left', named(y), ticksOf(scales.y, y)),
    ...(y2 === undefined ? [] : [svg.verticalAxis(box, 'right', named(y2), ticksOf(scales.y2, y2))]),
    horizontalAxis(box, x, scales.x, series),
    svg.element('rect', { ...placeOf(box), fill: 'none', stroke: svg.COLOUR.axis }),
    ...spans.map((span) => drawSpan(span, box, scales.x)),
    ...series.map((one, i) => drawSeries(one, numbers[i] ?? i, box, scales, marks)),
  ])
}

function numbersOf(series: readonly LineSeries[]): readonly number[] {
  const next = { y: 0, y2: 0 }
  return series.map(({ axis = 'y' }) => next[axis]++)
}

function scalesOf({ x, y, y2, series }: LineChartOptions): Scales {
  const all = (axis: 'y' | 'y2'): number[] =>
    series.filter((one) => (one.axis ?? 'y') === axis).flatMap(({ points }) => points.map(([, value]) => value))
  return {
    x: horizontalScale(
      series.flatMap(({ points }) => points.map(([at]) => at)),
      x.logarithmic,
    ),
    y: scaleOf(all('y'), y.logarithmic),
    y2: scaleOf(all('y2'), y2?.logarithmic ?? false),
  }
}

/** A logarithmic x axis goes from the first point to the last: nobody reads a length from it. */
function horizontalScale(values: readonly number[], logarithmic: boolean): Scale {
  const positive = values.filter((value) => Number.isFinite(value) && value > 0)
  const [low, high] = [Math.min(...positive), Math.max(...positive)]
  const round = scaleOf(values, logarithmic)
  if (!logarithmic || !(low < high)) return round
  const at = (value: number): number | undefined =>
    Number.isFinite(value) && value > 0 ? Math.log(value / low) / Math.log(high / low) : undefined
  return { ticks: round.ticks.filter((tick) => tick >= low && tick <= high), at }
}

function named({ label, logarithmic }: Axis): string {
  return logarithmic ? `${label} (logarithmic)` : label
}

function ticksOf(scale: Scale, { shown = short }: Axis): { readonly share: number; readonly text: string }[] {
  return scale.ticks.map((tick) => ({ share: scale.at(tick) ?? 0, text: shown(tick) }))
}

function placeOf({ left, top, right, bottom }: svg.Box): Readonly<Record<string, number>> {
  return { x: left, y: top, width: right - left, height: bottom - top }
}

function across({ left, right }: svg.Box, share: number): number {
  return left + INSET + share * (right - left - 2 * INSET)
}

function horizontalAxis(box: svg.Box, axis: Axis, scale: Scale, series: readonly LineSeries[]): string {
  const { shown = short } = axis
  let free = Number.NEGATIVE_INFINITY
  const drawn = horizontalTicks(scale, series).flatMap((tick) => {
    const at = across(box, scale.at(tick) ?? 0)
    const half = svg.textWidth(shown(tick), svg.SIZE.tick) / 2
    const mark = svg.line(at, box.bottom, at, box.bottom + 5, svg.COLOUR.axis)
    if (at - half < free) return [mark]
    free = at + half + TICK_GAP
    const style = { 'font-size': svg.SIZE.tick, 'text-anchor': 'middle', fill: svg.COLOUR.faint }
    return [mark, svg.label(at, box.bottom + 20, shown(tick), style)]
  })
  const middle = (box.left + box.right) / 2
  return [...drawn, svg.label(middle, box.bottom + 46, named(axis), { 'text-anchor': 'middle' })].join('\n')
}

function horizontalTicks(scale: Scale, series: readonly LineSeries[]): readonly number[] {
  const all = series.flatMap(({ points }) => points.map(([at]) => at)).filter((at) => scale.at(at) !== undefined)
  const places = [...new Set(all)].sort((a, b) => a - b)
  return places.length > 0 && places.length <= POINT_TICKS_MAX ? places : scale.ticks
}

function drawSpan({ name, from, to }: Span, box: svg.Box, scale: Scale): string {
  const [left, right] = [across(box, scale.at(from) ?? 0), across(box, scale.at(to) ?? 1)]
  const shape = { x: left, y: box.top, width: right - left, height: box.bottom - box.top }
  const middle = { 'font-size': svg.SIZE.tick, 'text-anchor': 'middle', fill: svg.COLOUR.faint }
  return [
    svg.element('rect', { ...shape, fill: svg.COLOUR.axis, 'fill-opacity': 0.12 }),
    svg.label((left + right) / 2, box.top + 18, name, middle),
  ].join('\n')
}

function drawSeries(
  { name, axis, points }: LineSeries,
  index: number,
  box: svg.Box,
  scales: Scales,
  marks: 'points' | 'none',
): string {
  const vertical = scales[axis ?? 'y']
  const drawn = points.flatMap(([at, value]) => {
    const [x, y] = [scales.x.at(at), vertical.at(value)]
    if (x === undefined || y === undefined) return []
    return [{ x: across(box, x), y: svg.heightAt(box, y), hint: `${name}: ${at}, ${value}` }]
  })
  const line = drawn.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')
  const stroke = strokeOf(index, axis)
  return [
    ...(drawn.length > 1 ? [svg.element('polyline', { points: line, fill: 'none', ...stroke })] : []),
    ...(marks === 'none' ? [] : drawn.map(({ x, y, hint }) => mark(index, axis, x, y, hint))),
  ].join('\n')
}

function strokeOf(index: number, axis: 'y' | 'y2' = 'y'): Readonly<Record<string, string | number>> {
  const solid = { stroke: svg.colourOf(index), 'stroke-width': 2.5, 'stroke-linejoin': 'round' }
  return axis === 'y' ? solid : { ...solid, 'stroke-width': 2, 'stroke-dasharray': '6 4' }
}

/** A mark in one of four shapes, so that colour is not all that tells two series apart. */
function mark(index: number, axis: 'y' | 'y2' = 'y', x: number, y: number, hint: string): string {
  const colour = svg.colourOf(index)
  const style = { fill: axis === 'y' ? colour : '#ffffff', stroke: colour, 'stroke-width': 2 }
  const title = svg.element('title', {}, svg.escapeText(hint))
  const corners = CORNERS[index % (CORNERS.length + 1)]
  if (corners === undefined) return svg.element('circle', { cx: x, cy: y, r: 4.5, ...style }, title)
  const points = corners.map(([dx, dy]) => `${(x + dx).toFixed(1)},${(y + dy).toFixed(1)}`).join(' ')
  return svg.element('polygon', { points, ...style }, title)
}

type Corners = readonly (readonly [number, number])[]
/** Square, diamond, triangle; the fourth is a circle. */
const CORNERS: readonly Corners[] = [
  [
    [-4, -4],
    [4, -4],
    [4, 4],
    [-4, 4],
  ],
  [
    [0, -5.5],
    [5.5, 0],
    [0, 5.5],
    [-5.5, 0],
  ],
  [
    [0, -5.5],
    [5.2, 4],
    [-5.2, 4],
  ],
]

function keyOf({ name, axis }: LineSeries, index: number): svg.LegendEntry {
  const stroke = svg.element('line', { x1: 0, y1: 0, x2: KEY_WIDTH, y2: 0, ...strokeOf(index, axis) })
  const key = stroke + mark(index, axis, KEY_WIDTH / 2, 0, name)
  return { name: axis === 'y2' ? `${name} (right axis)` : name, key, keyWidth: KEY_WIDTH }
}
