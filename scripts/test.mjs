// npm test: installs, builds, then runs every check and every test. The last line is `N passed, N failed`.
// `npm test -- unit tidy` runs only the named steps. Plain JavaScript on Node.js alone, because nothing is installed yet.
import { relative } from 'node:path'
import { goTest } from './test/go-test.mjs'
import { announce, ending, ROOT, seconds } from './test/run.mjs'
import { cCompiler, command, empty, together } from './test/steps.mjs'
import { vitest } from './test/vitest.mjs'

const bin = (name) => `node_modules/.bin/${name}`
/** The Go modules: the node, and the programs of chaos runs. */
const inModules = (work) => together(['node-go', 'test/chaos'].map((cwd) => () => work({ cwd })))

/**
 * In this order, but for CHECKS: what is cheap and says most about a mistake first. Each returns {passed, failed, reports}; the reports
 * of what failed are told again at the end, where people look and where a shortened log still has them.
 */
const STEPS = {
  build: () => command([process.execPath, 'scripts/build.mjs']),
  generated: () => command([process.execPath, 'scripts/gen.mjs', '--check']),
  tidy: () => command([process.execPath, 'dist/scripts/tidy/main.js']),
  biome: () => command([bin('biome'), 'check', '--error-on-warnings', '.']),
  eslint: () => command([bin('eslint'), '--max-warnings=0', '.']),
  unused: () => command([bin('knip')]),
  types: () => command([bin('tsc'), '--noEmit', '-p', 'tsconfig.json']),
  // What npm would publish: its entries resolve for every importer, and hold what package.json says.
  package: () =>
    together([
      () => command([bin('publint'), '--strict', '--pack', 'npm']),
      () =>
        command([
          bin('attw'),
          '--pack',
          '.',
          '--profile',
          'esm-only',
          '--no-emoji',
          '--no-color',
          '--no-definitely-typed',
        ]),
    ]),
  gofmt: () => inModules((module) => empty(['gofmt', '-l', '.'], module)),
  vet: () => inModules((module) => command(['go', 'vet', './...'], module)),
  staticcheck: () => inModules((module) => command(['go', 'tool', 'staticcheck', './...'], module)),
  go: () => inModules((module) => goTest({ race: cCompiler(), ...module })),
  // A million steps on one goroutine, for which there is nothing to race.
  simulation: () => goTest({ race: false, cwd: 'node-go', packages: './simulation' }),
  unit: () => vitest('unit'),
  surface: () => vitest('surface'),
  cross: () => vitest('cross'),
}
/** Lanes go side by side: what is in them computes on one processor and shares nothing. */
const CHECKS = [
  ['biome', 'eslint', 'unused', 'types'],
  ['package', 'gofmt', 'vet', 'staticcheck'],
]
const ORDER = [['build'], ['generated'], ['tidy'], CHECKS, ['go'], ['simulation'], ['unit'], ['surface'], ['cross']]

const names = Object.keys(STEPS)
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  console.error(`test: no step called ${unknown.join(', ')}; there are ${names.join(', ')}`)
  process.exit(2)
}
const chosen = wanted.length === 0 ? names : names.filter((name) => name === 'build' || wanted.includes(name))

const begin = performance.now()
const total = { passed: 0, failed: 0 }
const broken = []
const retold = []

async function step(name) {
  const place = `[${chosen.indexOf(name) + 1}/${chosen.length}] ${name}`
  announce(place)
  const started = performance.now()
  const { passed, failed, reports } = await STEPS[name]()
  total.passed += passed
  total.failed += failed
  if (failed > 0) broken.push(name)
  retold.push(...reports.map((report) => `${name}: ${report}`))
  announce(`${place}: ${failed === 0 ? 'ok' : `${failed} FAILED`} (${seconds(started)})`)
}

for (const entry of ORDER) {
  const lanes = entry.map((lane) => [lane].flat().filter((name) => chosen.includes(name)))
  await Promise.all(
    lanes.map(async (lane) => {
      for (const name of lane) await step(name)
    }),
  )
  // Nothing below means anything on a tree that does not build.
  if (broken.includes('build')) break
}
for (const report of retold) announce(ending(report))
if (broken.length > 0) announce(`failed: ${broken.join(', ')}; again: npm test -- ${broken.join(' ')}`)
announce(`${seconds(begin)} in ${relative(process.cwd(), ROOT) || '.'}`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1
