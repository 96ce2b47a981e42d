import { type Scale, scaleOf, short } from './scale.js'
import * as svg from './svg.js'

export interface BarGroup {
  readonly name: string
  readonly bars: readonly { readonly series: string; readonly value: number }[]
}

export interface BarChartOptions {
  readonly title: string
  readonly unit: string
  readonly logarithmic?: boolean
  readonly groups: readonly BarGroup[]
}

/** Wide enough for the number above it. */
const BAR_WIDTH = 46
const BAR_GAP = 4
const GROUP_GAP = 32
const PLOT_WIDTH_MIN = 560
const PLOT_HEIGHT = 340
const LEGEND_TOP = 52
const MARGIN = 24
const KEY_SIDE = 14
const NAME_LINE = 16
const NAME_WIDTH_MIN = 96

/** Groups along x and one bar for each of their series, with its value above it. */
export function barChart({ title, unit, logarithmic = false, groups }: BarChartOptions): string {
  const series = [...new Set(groups.flatMap(({ bars }) => bars.map((bar) => bar.series)))]
  const widths = groups.map(widthOf)
  const wished = widths.reduce((sum, width) => sum + width + GROUP_GAP, 0)
  const left = svg.AXIS_WIDTH + MARGIN / 2
  const right = left + Math.max(PLOT_WIDTH_MIN, wished, svg.textWidth(title, svg.SIZE.title) - left)
  const legend = svg.legend(series.map(keyOf), left, LEGEND_TOP, right)
  const top = LEGEND_TOP + legend.height + MARGIN
  const box: svg.Box = { left, right, top, bottom: top + PLOT_HEIGHT }
  const scale = scaleOf(spanOf(groups, logarithmic), logarithmic)
  const pad = (right - left - wished) / Math.max(1, groups.length)
  let x = left
  const drawn = groups.map((group, i) => {
    const width = (widths[i] ?? 0) + GROUP_GAP + pad
    x += width
    return drawGroup(group, x - width, x, box, scale, series)
  })
  const ticks = scale.ticks.map((tick) => ({ share: scale.at(tick) ?? 0, text: short(tick) }))
  const names = Math.max(1, ...drawn.map(({ lines }) => lines))
  return svg.svgDocument(right + MARGIN, box.bottom + names * NAME_LINE + MARGIN, title, [
    legend.svg,
    svg.verticalAxis(box, 'left', logarithmic ? `${unit} (logarithmic)` : unit, ticks),
    ...drawn.map((group) => group.svg),
    svg.line(left, zeroOf(box, scale), right, zeroOf(box, scale), svg.COLOUR.axis),
  ])
}

function keyOf(name: string, index: number): svg.LegendEntry {
  const place = { x: 0, y: -KEY_SIDE / 2, width: KEY_SIDE, height: KEY_SIDE, rx: 2 }
  return { name, key: svg.element('rect', { ...place, fill: svg.colourOf(index) }), keyWidth: KEY_SIDE }
}

/** As wide as its bars, and as the longest word of its name. */
function widthOf({ name, bars }: BarGroup): number {
  const words = name.split(/\s+/).map((word) => svg.textWidth(word, svg.SIZE.text))
  return Math.max(NAME_WIDTH_MIN, bars.length * (BAR_WIDTH + BAR_GAP) - BAR_GAP, ...words)
}

/** A logarithmic axis begins below the least bar, or that one would have no height. */
function spanOf(groups: readonly BarGroup[], logarithmic: boolean): readonly number[] {
  const values = groups.flatMap(({ bars }) => bars.map((bar) => bar.value))
  const positive = values.filter((value) => Number.isFinite(value) && value > 0)
  return logarithmic && positive.length > 0 ? [...values, Math.min(...positive) / 2] : values
}

/** Where bars begin: at zero, or at the bottom of a logarithmic axis. */
function zeroOf(box: svg.Box, scale: Scale): number {
  return svg.heightAt(box, scale.at(0) ?? 0)
}

function drawGroup(
  { name, bars }: BarGroup,
  from: number,
  to: number,
  box: svg.Box,
  scale: Scale,
  series: readonly string[],
): { readonly svg: string; readonly lines: number } {
  const middle = (from + to) / 2
  const first = middle - (bars.length * (BAR_WIDTH + BAR_GAP) - BAR_GAP) / 2
  const drawn = bars.map((bar, i) => {
    const x = first + i * (BAR_WIDTH + BAR_GAP)
    return drawBar(x, bar.value, svg.colourOf(series.indexOf(bar.series)), `${name}, ${bar.series}`, box, scale)
  })
  const lines = svg.wrapped(name, to - from - 8, svg.SIZE.text)
  const written = lines.map((text, i) =>
    svg.label(middle, box.bottom + 20 + i * NAME_LINE, text, { 'text-anchor': 'middle' }),
  )
  return { svg: [...drawn, ...written].join('\n'), lines: lines.length }
}

function drawBar(x: number, value: number, fill: string, what: string, box: svg.Box, scale: Scale): string {
  const zero = zeroOf(box, scale)
  const end = svg.heightAt(box, scale.at(value) ?? scale.at(0) ?? 0)
  const [top, height] = [Math.min(zero, end), Math.abs(zero - end)]
  const hint = svg.element('title', {}, svg.escapeText(`${what}: ${Number.isFinite(value) ? value : short(value)}`))
  const bar = svg.element('rect', { x, y: top, width: BAR_WIDTH, height, fill }, hint)
  // A number that meets a line of the grid has some white around it.
  const halo = { stroke: '#ffffff', 'stroke-width': 4, 'paint-order': 'stroke' }
  const centred = { 'font-size': svg.SIZE.tick, 'text-anchor': 'middle', ...halo }
  return bar + svg.label(x + BAR_WIDTH / 2, value < 0 ? end + 15 : top - 6, short(value), centred)
}
