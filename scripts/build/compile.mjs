// What is built: TypeScript into dist/, the node into dist/bin/kvnode; and for tests alone the programs of chaos runs into
// dist/bin/chaos, and a node with faults into dist/bin/faults.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { Fault } from './fault.mjs'
import { inRoot } from './root.mjs'
import { digest, stamp } from './stamp.mjs'
import { step } from './step.mjs'

const { version } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'))
const GO_FLAGS = ['-trimpath', `-ldflags=-X=main.version=${version}`]
const GO_OLDEST = [1, 25]

/** Each target: what it needs of the machine, what it depends on, and how it is built. */
const TARGETS = [
  {
    name: 'typescript',
    output: inRoot('dist', 'orchestrator', 'main.js'),
    needs: () => {},
    digest: () =>
      digest({
        paths: ['tsconfig.json', 'orchestrator', 'scripts', 'test', 'bench'],
        matching: /\.ts$/,
        also: { typescript: lockedVersion('typescript') },
      }),
    build: () =>
      step('compiling TypeScript', [process.execPath, inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']),
  },
  {
    name: 'kvnode',
    output: inRoot('dist', 'bin', 'kvnode'),
    needs: needGo,
    digest: () => digest({ paths: ['node-go'], matching: /(?:\.go|go\.mod|go\.sum)$/, also: { flags: GO_FLAGS } }),
    build: () =>
      step(
        'compiling the node (Go)',
        ['go', 'build', ...GO_FLAGS, '-o', inRoot('dist', 'bin', 'kvnode'), './cmd/kvnode'],
        {
          cwd: inRoot('node-go'),
          env: { ...process.env, CGO_ENABLED: '0' },
        },
      ),
  },
  {
    // The node with faults in it. Processes of nodes are called kvnode, so it has a folder of its own.
    name: 'kvnode-faults',
    output: inRoot('dist', 'bin', 'faults', 'kvnode'),
    onlyFor: 'tests',
    needs: needGo,
    digest: () => digest({ paths: ['node-go'], matching: /(?:\.go|go\.mod|go\.sum)$/, also: { flags: GO_FLAGS } }),
    build: () =>
      step(
        'compiling the node with faults (Go)',
        [
          'go',
          'build',
          '-tags',
          'faults',
          ...GO_FLAGS,
          '-o',
          inRoot('dist', 'bin', 'faults', 'kvnode'),
          './cmd/kvnode',
        ],
        {
          cwd: inRoot('node-go'),
          env: { ...process.env, CGO_ENABLED: '0' },
        },
      ),
  },
  {
    name: 'chaos',
    output: inRoot('dist', 'bin', 'chaos', 'check'),
    onlyFor: 'tests',
    needs: needGo,
    digest: () => digest({ paths: ['test/chaos'], matching: /(?:\.go|go\.mod|go\.sum)$/, also: { flags: GO_FLAGS } }),
    build: () =>
      step(
        'compiling the programs of chaos runs (Go)',
        ['go', 'build', '-trimpath', '-o', `${inRoot('dist', 'bin', 'chaos')}/`, './...'],
        {
          cwd: inRoot('test', 'chaos'),
          env: { ...process.env, CGO_ENABLED: '0' },
        },
      ),
    // A module of its own: the node does not depend on what checks it.
    when: () => existsSync(inRoot('test', 'chaos', 'go.mod')),
  },
]

/** The targets that must be built, each with the digest of what it will be built from. */
export function staleTargets({ forTests = true } = {}) {
  const there = TARGETS.filter(({ when = () => true, onlyFor }) => when() && (forTests || onlyFor !== 'tests'))
  return there
    .map((target) => ({ ...target, now: target.digest() }))
    .filter(({ name, output, now }) => !(existsSync(output) && stamp(name).is(now)))
}

/** What will be installed, so that it can be asked before it is. */
function lockedVersion(name) {
  return JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8')).packages[`node_modules/${name}`].version
}

function needGo() {
  const wanted = `Go ${GO_OLDEST.join('.')} or newer is needed to build the node`
  const found = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', cwd: inRoot('scripts') })
  if (found.error !== undefined) throw new Fault(`${wanted}, and no go was found in PATH`)
  if (found.status !== 0) throw new Fault(`${wanted}, but go env failed: ${found.stderr.trim()}`)
  const version = /^go(\d+)\.(\d+)/.exec(found.stdout.trim())
  // A development version ("devel ...") has no number to compare: let the compiler judge.
  if (version === null) return
  const [major, minor] = [Number(version[1]), Number(version[2])]
  if (major < GO_OLDEST[0] || (major === GO_OLDEST[0] && minor < GO_OLDEST[1])) {
    throw new Fault(`${wanted}, and this is ${found.stdout.trim()}`)
  }
}
