// The 1,024 partitions as a ring, before and after a shard was added: who owns which, and what has moved.
import { place } from '../../orchestrator/control/placement.js'
import { COLOUR, colourOf, element, label, svgDocument } from '../chart/svg.js'

const BEFORE = 5
const WIDTH = 760
const HEIGHT = 620
const CENTRE = { x: 290, y: 330 }
/** Radii of the bands, from the inner side to the outer one. */
const BANDS = { before: [150, 190], moved: [196, 214], after: [220, 260] } as const

type Band = readonly [inner: number, outer: number]

export function ringOfPlacement(): string {
  const before = place(upTo(BEFORE))
  const after = place(upTo(BEFORE + 1))
  const partitions = [...before.keys()]
  const moved = partitions.filter((partition) => before[partition] !== after[partition])
  const total = partitions.length
  const band = (owners: readonly number[], where: Band, shown: readonly number[]) =>
    upTo(BEFORE + 1).map((shard) => {
      const arcs = shown
        .filter((partition) => owners[partition] === shard)
        .map((partition) => arc(partition, total, where))
      return element('path', { d: arcs.join(''), fill: colourOf(shard - 1) })
    })
  const counts = upTo(BEFORE + 1).map((shard) => {
    const [held, holds] = [before, after].map((owners) => owners.filter((owner) => owner === shard).length)
    return `shard ${shard}: ${held} to ${holds}`
  })
  return svgDocument(WIDTH, HEIGHT, `${BEFORE} shards, and one more: ${moved.length} of ${total} partitions move`, [
    ...band(before, BANDS.before, partitions),
    ...band(before, BANDS.moved, moved),
    ...band(after, BANDS.after, partitions),
    ...['inner: before', 'between: who gives', 'outer: after'].map((text, line) =>
      label(CENTRE.x, CENTRE.y - 20 + 24 * line, text, { 'text-anchor': 'middle', fill: COLOUR.faint }),
    ),
    ...counts.flatMap((text, at) => [
      element('rect', { x: 580, y: 240 + 28 * at, width: 14, height: 14, fill: colourOf(at) }),
      label(602, 252 + 28 * at, text),
    ]),
  ])
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

/** One partition's part of a band, clockwise from the top. */
function arc(partition: number, total: number, [inner, outer]: Band): string {
  const at = (share: number, radius: number) => {
    const angle = 2 * Math.PI * share
    return `${(CENTRE.x + radius * Math.sin(angle)).toFixed(1)} ${(CENTRE.y - radius * Math.cos(angle)).toFixed(1)}`
  }
  const [from, to] = [partition / total, (partition + 1) / total]
  return `M${at(from, inner)}L${at(from, outer)}L${at(to, outer)}L${at(to, inner)}Z`
}
