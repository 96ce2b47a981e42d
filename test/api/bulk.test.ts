// kvorum import and export as processes: killed in the middle, and the same command again.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { Program } from '../harness/process.js'
import { ROOT } from '../harness/root.js'
import { until, within } from '../harness/wait.js'

const END_MS_MAX = 60_000
/** More than are put before the state is kept for the first time, after a second. */
const ROWS = 60_000

interface Row {
  readonly key: string
  readonly value: string
  readonly version: string
}

let cluster: Cluster
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-bulk-'))
  cluster = await Cluster.start({ shards: 2, replicas: 1 })
})
afterAll(async () => {
  await cluster?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

function kvorum(...args: string[]): Program {
  const main = join(ROOT, 'dist/orchestrator/cli/main.js')
  return new Program([process.execPath, main, ...args, '--address', cluster.address])
}

async function codeOf(program: Program): Promise<number | null> {
  return (await within('the command to end', END_MS_MAX, program.ended)).code
}

const name = (at: number) => `row:${String(at).padStart(6, '0')}`

test('an import that is killed goes on, and an export gives back every row once', async () => {
  const input = join(folder, 'in.jsonl')
  const lines = Array.from({ length: ROWS }, (_, at) => `${JSON.stringify({ key: name(at), value: `v${at}` })}\n`)
  writeFileSync(input, lines.join(''))
  const state = `${input}.kvorum-import`

  const killed = kvorum('import', input)
  await until('it to have kept how far it is', () => existsSync(state) || !killed.running)
  killed.signal('SIGKILL')
  expect((await killed.ended).signal).toBe('SIGKILL')
  const { at } = JSON.parse(readFileSync(state, 'utf8')) as { readonly at: { readonly lines: number } }
  expect(at.lines).toBeGreaterThan(0)
  expect(at.lines).toBeLessThan(ROWS)

  const second = kvorum('import', input)
  expect(await codeOf(second)).toBe(0)
  expect(second.stderr).toContain(`going on behind line ${at.lines}`)
  expect(second.stdout).toMatch(/^imported 60,000 rows in/)
  expect(existsSync(state)).toBe(false)

  const output = join(folder, 'out.jsonl')
  const torn = kvorum('export', output, '--versions', '--prefix', 'row:')
  await until('it to have begun', () => existsSync(`${output}.kvorum-part`) || !torn.running)
  torn.signal('SIGKILL')
  await torn.ended
  const again = kvorum('export', output, '--versions', '--prefix', 'row:')
  expect(await codeOf(again)).toBe(0)
  const rows = readFileSync(output, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
  expect(rows.map(({ key }) => key)).toEqual(Array.from({ length: ROWS }, (_, index) => name(index)))
  expect(rows.filter(({ value }, index) => value !== `v${index}`)).toEqual([])
  // What was acknowledged before the kill was not put again.
  expect(rows.slice(0, at.lines).filter(({ version }) => version !== '1')).toEqual([])
  // A first export may have been whole before it was killed; either way nothing is left beside it.
  expect(existsSync(`${output}.kvorum-part`) || existsSync(`${output}.kvorum-export`)).toBe(false)
})

test('from stdin and to stdout, as CSV', async () => {
  const main = join(ROOT, 'dist/orchestrator/cli/main.js')
  const put = new Program([process.execPath, main, 'import', '-', '--format', 'csv', '--address', cluster.address], {
    input: true,
  })
  put.say('key,value,valueBase64\r\npipe:1,"a, ""b""",\r\npipe:2,,/w==\r\n')
  put.endInput()
  expect(await codeOf(put)).toBe(0)
  const got = kvorum('export', '-', '--format', 'csv', '--prefix', 'pipe:')
  expect(await codeOf(got)).toBe(0)
  expect(got.stdout).toBe('key,value,keyBase64,valueBase64\npipe:1,"a, ""b""",,\npipe:2,,,/w==')
  expect(got.stderr).toMatch(/^exported 2 rows/)
})

test('Ctrl-C ends an import in order', async () => {
  const input = join(folder, 'more.jsonl')
  const lines = Array.from({ length: ROWS }, (_, at) => `${JSON.stringify({ key: `more:${at}`, value: `${at}` })}\n`)
  writeFileSync(input, lines.join(''))
  const stopped = kvorum('import', input)
  await until('it to have kept how far it is', () => existsSync(`${input}.kvorum-import`) || !stopped.running)
  stopped.signal('SIGINT')
  expect(await codeOf(stopped)).toBe(3)
  const told = Number(/interrupted; lines 1 to (\d+) are imported/.exec(stopped.stderr)?.[1])
  expect(told).toBeGreaterThan(0)
  expect(told).toBeLessThan(ROWS)
})
