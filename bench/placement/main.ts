// npm run bench -- placement: draws orchestrator/control/placement.svg anew.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ringOfPlacement } from './ring.js'

const path = join('orchestrator', 'control', 'placement.svg')
writeFileSync(path, ringOfPlacement())
console.log(`written: ${path}`)
