// The whole model, in the order in which it is told.
import { electionSection } from './elections.js'
import { type Fleet, KNOWN } from './inputs.js'
import { linksSection } from './links.js'
import { lossSection, spreadSection } from './loss.js'
import { mapSection } from './map.js'
import { metaSection } from './meta.js'
import { moveSeconds, movesSection } from './moves.js'
import { nodesSection } from './nodes.js'
import { pushSection } from './push.js'
import { recoverySection } from './recovery.js'
import type { Section } from './section.js'
import { skewSection } from './skew.js'

/** The same for the same fleet, on every machine. */
export function modelOf(fleet: Fleet): Section[] {
  const moveS = moveSeconds(fleet)
  return [
    inputSection(fleet, moveS),
    skewSection(fleet),
    mapSection(fleet),
    pushSection(fleet, moveS),
    metaSection(fleet),
    movesSection(fleet),
    linksSection(fleet),
    spreadSection(fleet),
    nodesSection(fleet),
    recoverySection(fleet),
    electionSection(fleet),
    lossSection(fleet),
  ]
}

function inputSection(fleet: Fleet, moveS: number): Section {
  const flags = Object.entries(fleet).map(([name, value]) => [name, value as number, 'a flag'])
  const figures = Object.entries(KNOWN).map(([name, { value, unit, from }]) => [name, value, `${unit}; ${from}`])
  return {
    title: 'What the model is told',
    head: ['name', 'value', 'of'],
    rows: [...flags, ...figures, ['a move of one partition', moveS, 's; from importRate and moveRecords']],
  }
}
