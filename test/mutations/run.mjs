// Whether the tests would notice: puts each fault of the list into a copy of the repository, as it is here and now, and
// runs the test there that must fail. `node test/mutations/run.mjs [name ...]`; `none` is the copy without a fault.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTATIONS } from './list.mjs'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const OUTPUT_BYTES_MAX = 1 << 28
const NAMED = process.argv.slice(2)
const NONE = 'none'

let copy
process.once('exit', removeCopy)
// Whoever runs in the copy gets the signal as well, and ends first.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

process.exitCode = main() ? 0 : 1

function main() {
  const unknown = NAMED.filter((name) => name !== NONE && !MUTATIONS.some((one) => one.name === name))
  if (unknown.length > 0) {
    console.error(`no such mutation: ${unknown.join(', ')}; there are ${MUTATIONS.map(({ name }) => name).join(', ')}`)
    return false
  }
  const wanted = NAMED.length === 0 ? MUTATIONS : MUTATIONS.filter(({ name }) => NAMED.includes(name))
  const tests = [...new Set(MUTATIONS.map(({ test }) => test))]
  // A copy that fails without a fault would find everything.
  const control = NAMED.length === 0 || NAMED.includes(NONE) ? tests.map((test) => ({ name: NONE, test })) : []
  const missed = [...control, ...wanted].filter((mutation) => !report(mutation))
  if (missed.length > 0) console.error(`not as it should be: ${missed.map(({ name }) => name).join(', ')}`)
  return missed.length === 0
}

/** Tries one, and says whether all was as it should be. */
function report(mutation) {
  const began = performance.now()
  try {
    const verdict = attempt(mutation)
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    console.log(`${mutation.name} (${mutation.test}, ${seconds} s): ${verdict.said}`)
    return verdict.good
  } catch (error) {
    console.error(`${mutation.name}: ${error.message}`)
    return false
  } finally {
    removeCopy()
  }
}

function attempt(mutation) {
  copyTree()
  if (mutation.name !== NONE) mutate(mutation)
  const { status, output } = runTest(mutation)
  if (mutation.name === NONE) {
    return status === 0 ? { good: true, said: 'passes' } : { good: false, said: `FAILS WITHOUT A FAULT\n${output}` }
  }
  if (status === 0) return { good: false, said: `NOT FOUND: ${mutation.says}` }
  const line = output.split('\n').find((one) => mutation.shows.test(one))
  if (line === undefined) return { good: false, said: `the test fails, but does not show ${mutation.shows}\n${output}` }
  return { good: true, said: `found: ${line.trim().slice(0, 160)}` }
}

function runTest(mutation) {
  if (mutation.test.endsWith('_test.go')) return goTest(mutation)
  return mutation.test.startsWith('orchestrator/') ? unitTest(mutation) : crossTest(mutation)
}

/** The package of the test, or `only` one of it where others would wait for what the fault keeps from happening. */
function goTest({ test, only = '.' }) {
  const argv = ['test', '-timeout=5m', '-run', only, `./${dirname(relative('node-go', test))}`]
  return run('go', argv, join(copy, 'node-go'))
}

function crossTest({ test }) {
  const built = run(process.execPath, ['scripts/build.mjs'], copy)
  if (built.status !== 0) throw new Error(`the copy cannot be built:\n${built.output}`)
  return vitest('cross', test)
}

/** It reads the sources: there is nothing to build. */
function unitTest({ test }) {
  return vitest('unit', test)
}

function vitest(project, test) {
  return run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--project', project, test], copy)
}

/** What git knows or would take, as it is in the working tree; what is installed is shared. */
function copyTree() {
  copy = mkdtempSync(join(tmpdir(), 'kvorum-mutation-'))
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT })
  if (listed.status !== 0) throw new Error(`git ls-files: ${listed.stderr ?? listed.error?.message}`)
  for (const path of listed.stdout.toString().split('\0')) {
    // A file may have been deleted, and git still knows it.
    if (path === '' || path === 'node_modules' || !existsSync(join(ROOT, path))) continue
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    cpSync(join(ROOT, path), join(copy, path))
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
}

function mutate({ file, find, replace }) {
  const path = join(copy, file)
  const parts = readFileSync(path, 'utf8').split(find)
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} places like ${JSON.stringify(find)}, not 1`)
  writeFileSync(path, parts.join(replace))
}

function run(program, argv, cwd) {
  const env = { ...process.env, NO_COLOR: '1' }
  const options = { cwd, env, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX }
  const { status, stdout, stderr, error } = spawnSync(program, argv, options)
  return { status, output: `${stdout}${stderr}${error?.message ?? ''}` }
}

function removeCopy() {
  if (copy !== undefined) rmSync(copy, { recursive: true, force: true, maxRetries: 5 })
  copy = undefined
}
