import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ringOfPlacement } from './ring.js'

test('the picture of the ring is that of the placement as it is', () => {
  const path = join(import.meta.dirname, '..', '..', 'orchestrator', 'control', 'placement.svg')
  expect(readFileSync(path, 'utf8') === ringOfPlacement(), 'run npm run bench -- placement').toBe(true)
})
