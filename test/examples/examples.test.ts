// The package as its users have it: packed, installed into an empty folder, and the examples run there, against a real cluster.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { ROOT } from '../harness/root.js'

const run = promisify(execFile)
const INSTALL_MS_MAX = 120_000

let folder: string
let files: string[]
let cluster: Cluster
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-package-'))
  const started = Cluster.start({ shards: 1, replicas: 1 })
  try {
    files = await install()
  } finally {
    cluster = await started
  }
}, INSTALL_MS_MAX)
afterAll(async () => {
  await cluster?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** What npm ci has fetched lies in npm's cache: that comes first. Gives the files of the package. */
async function install(): Promise<string[]> {
  const npm = (cwd: string, ...args: string[]) => run('npm', args, { cwd, timeout: INSTALL_MS_MAX, maxBuffer: 1 << 24 })
  const { stdout } = await npm(ROOT, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder)
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
  writeFileSync(join(folder, 'package.json'), '{"name": "program", "private": true, "type": "module"}')
  const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
  await npm(folder, 'install', ...flags, join(folder, packed.filename))
  for (const name of readdirSync(join(ROOT, 'dist/test/examples')).filter((one) => /^[a-z-]+\.js$/.test(one))) {
    copyFileSync(join(ROOT, 'dist/test/examples', name), join(folder, name))
  }
  return packed.files.map(({ path }) => path)
}

const node = (...args: string[]) => run(process.execPath, args, { cwd: folder, timeout: 60_000 })

test('holds what runs, its types and the protos, and nothing of tests or of a machine', () => {
  for (const needed of ['client/public.js', 'client/public.d.ts', 'index.js', 'index.d.ts', 'main.js', 'cli/main.js']) {
    expect(files).toContain(`dist/orchestrator/${needed}`)
  }
  expect(files).toEqual(expect.arrayContaining(['protos/kvstore.proto', 'scripts/kvorum.mjs', 'README.md', 'LICENSE']))
  expect(
    files.filter((path) => /\.test\.|\/testing\/|^test\/|^dist\/(?:bin|test|bench)\/|node_modules/.test(path)),
  ).toEqual([])
})

test.each([
  ['getting-started', /^Ada\nthe key is there already, with version \d+\ntrue null\n$/],
  ['counters', /^100\n50n\n50\n$/],
  ['lock', /^1\nfalse\ntrue\n$/],
  ['presence', /^1\nnot here any more: CANCELLED\nnull null\n$/],
  ['prefix', /^done 3\n1\n$/],
  ['batch', /^stored 5n\nPRECONDITION_FAILED, not-applied\n3\n$/],
])('%s says what its comments say, and ends by itself', async (name, says) => {
  const { stdout, stderr } = await node(`${name}.js`, cluster.address)
  expect(stdout).toMatch(says)
  expect(stderr).toBe('')
})

test('a server runs in a program of its own', async () => {
  const { stdout } = await node('server.js', join(folder, 'data'), join(ROOT, 'dist/bin/kvnode'))
  expect(stdout).toBe('v\n')
})

test.each(['client/public.js', 'index.js'])('%s loads nothing of a server until one is started', (entry) => {
  const rooms = roomsOf(entry).filter((room) => !room.endsWith('.js'))
  expect(rooms).toEqual(['client', 'core', 'errors', 'store', 'wire'])
})

/** The rooms that an entry imports, by its files: without running anything, so on every version of Node.js. */
function roomsOf(entry: string): string[] {
  const base = join(folder, 'node_modules/kvorum/dist/orchestrator')
  const seen = new Set<string>()
  const visit = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const [, to = ''] of readFileSync(path, 'utf8').matchAll(/\bfrom '(\.[^']+)'/g)) visit(join(path, '..', to))
  }
  visit(join(base, entry))
  return [...new Set([...seen].map((path) => path.slice(base.length + 1).split('/')[0] ?? ''))].sort()
}

test('its command line runs there', async () => {
  const bin = join(folder, 'node_modules/.bin/kvorum')
  const { stdout } = await node(bin, 'put', 'k', 'v', '--address', cluster.address)
  expect(stdout).toBe('ok\n')
})

test('the README shows the first example as it is', () => {
  const example = readFileSync(join(ROOT, 'test/examples/getting-started.ts'), 'utf8')
  const body = example.slice(example.indexOf('import'))
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(body.trim())
})
