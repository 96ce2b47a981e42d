// What both charts are drawn with. Pure: values in, text of an SVG out.

/** Apart from each other with every kind of colour blindness, and each at least 3:1 on white. */
export const PALETTE = ['#0072b2', '#d55e00', '#008a64', '#aa4499', '#332288', '#7a6a00', '#666666', '#000000']

export const SIZE = { title: 18, text: 13, tick: 12 } as const
export const COLOUR = { text: '#1f2328', faint: '#57606a', grid: '#e1e4e8', axis: '#8c959f' } as const
const FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"

type Attributes = Readonly<Record<string, string | number>>

/** Where the data goes; everything else is around it. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

export function colourOf(index: number): string {
  return PALETTE[index % PALETTE.length] ?? COLOUR.text
}

/** Characters that XML does not allow at all are left out. */
export function escapeText(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  }
  const allowed = text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
  return allowed.replace(/[&<>"']/g, (found) => entities[found] ?? found)
}

/** One element; its children are SVG already. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeText(shown(value))}"`)
  const head = `<${name}${written.join('')}`
  return children.length === 0 ? `${head}/>` : `${head}>${children.join('')}</${name}>`
}

function shown(value: string | number): string {
  return typeof value === 'number' ? String(Math.round(value * 10) / 10) : value
}

export function label(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element('text', { x, y, 'font-size': SIZE.text, fill: COLOUR.text, ...attributes }, escapeText(text))
}

export function line(x1: number, y1: number, x2: number, y2: number, stroke: string): string {
  return element('line', { x1, y1, x2, y2, stroke })
}

/** What a text's baseline lies below its middle. Not every renderer knows `dominant-baseline`. */
function belowMiddle(size: number): number {
  return size * 0.36
}

/** How wide a text is, about: no renderer is asked, so this is a wide font's mean. */
export function textWidth(text: string, size: number): number {
  return text.length * size * 0.61
}

/** Words in lines that are not wider than this. */
export function wrapped(text: string, width: number, size: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const joined = lines.length === 0 ? word : `${lines.at(-1)} ${word}`
    if (lines.length === 0 || textWidth(joined, size) > width) lines.push(word)
    else lines[lines.length - 1] = joined
  }
  return lines
}

export interface LegendEntry {
  readonly name: string
  /** Drawn from 0, the middle of its left side, with the name to its right. */
  readonly key: string
  readonly keyWidth: number
}

export interface Legend {
  readonly height: number
  readonly svg: string
}

const ROW_HEIGHT = 22
const ENTRY_GAP = 24
const KEY_GAP = 7

/** The names of the series in rows, never over the plot: whoever draws that begins below `height`. */
export function legend(entries: readonly LegendEntry[], left: number, top: number, right: number): Legend {
  let [x, row] = [left, 0]
  const drawn = entries.map(({ name, key, keyWidth }) => {
    const width = keyWidth + KEY_GAP + textWidth(name, SIZE.text)
    if (x > left && x + width > right) [x, row] = [left, row + 1]
    const y = top + row * ROW_HEIGHT + ROW_HEIGHT / 2
    const at = `translate(${shown(x)} ${shown(y)})`
    x += width + ENTRY_GAP
    return element('g', { transform: at }, key, label(keyWidth + KEY_GAP, belowMiddle(SIZE.text), name))
  })
  return { height: entries.length === 0 ? 0 : (row + 1) * ROW_HEIGHT, svg: drawn.join('\n') }
}

/** A place on a vertical axis, from its share of the way up. */
export function heightAt({ top, bottom }: Box, share: number): number {
  return bottom - share * (bottom - top)
}

/** A vertical axis: its label turned, its ticks outside of the plot. Only the left one draws the grid. */
export function verticalAxis(
  box: Box,
  side: 'left' | 'right',
  text: string,
  ticks: readonly { readonly share: number; readonly text: string }[],
): string {
  const left = side === 'left'
  const edge = left ? box.left : box.right
  const drawn = ticks.flatMap((tick) => {
    const y = heightAt(box, tick.share)
    const anchor = { 'font-size': SIZE.tick, 'text-anchor': left ? 'end' : 'start' }
    const number = label(edge + (left ? -8 : 8), y + belowMiddle(SIZE.tick), tick.text, {
      ...anchor,
      fill: COLOUR.faint,
    })
    return left
      ? [line(box.left, y, box.right, y, COLOUR.grid), number]
      : [line(edge, y, edge + 5, y, COLOUR.axis), number]
  })
  const middle = (box.top + box.bottom) / 2
  const x = edge + (left ? -1 : 1) * (AXIS_WIDTH - SIZE.text)
  const turn = `rotate(${left ? -90 : 90} ${shown(x)} ${shown(middle)})`
  const name = label(x, middle + belowMiddle(SIZE.text), text, { transform: turn, 'text-anchor': 'middle' })
  return [...drawn, name].join('\n')
}

/** Room for the ticks and the label of a vertical axis. */
export const AXIS_WIDTH = 72

/** The whole document. White behind everything: it is read on dark pages, too. */
export function svgDocument(width: number, height: number, title: string, parts: readonly string[]): string {
  const xmlns = 'http://www.w3.org/2000/svg'
  const frame = {
    xmlns,
    width,
    height,
    viewBox: `0 0 ${shown(width)} ${shown(height)}`,
    role: 'img',
    'font-family': FONT,
  }
  const background = element('rect', { width, height, fill: '#ffffff' })
  const heading = label(24, 32, title, { 'font-size': SIZE.title, 'font-weight': 600 })
  const children = [element('title', {}, escapeText(title)), background, heading, ...parts]
  return `${element('svg', frame, `\n${children.join('\n')}\n`)}\n`
}
