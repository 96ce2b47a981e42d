// The command line of a run, where no cluster is started; and the end of one that is killed.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Program, processesOf, signal } from '../harness/process.js'
import { ROOT } from '../harness/root.js'
import { until } from '../harness/wait.js'
import { main } from './command.js'

const BEGIN_MS_MAX = 60_000

let folder: string
let said: string[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-chaos-command-'))
  said = []
  vi.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line))
})
afterEach(() => {
  vi.restoreAllMocks()
  // Of a test that has failed.
  for (const { pid } of processesOf(folder)) signal(pid, 'SIGKILL')
  rmSync(folder, { recursive: true, maxRetries: 5 })
})

function run(...options: readonly string[]): Promise<number> {
  return main([process.execPath, 'chaos', '--out', join(folder, 'out'), ...options])
}

test('what a schedule decides cannot be said beside it', async () => {
  expect(await run('--schedule', 'x.json', '--shards', '3', '--round-seconds', '30', '--seed', '4')).toBe(2)
  expect(said).toEqual(['chaos: --schedule decides that already: leave out --shards, --round-seconds'])
})

test('a schedule that is wrong is told line by line, each with its path', async () => {
  const path = join(folder, 'schedule.json')
  writeFileSync(
    path,
    '{"format":"kvorum-schedule","version":1,"seed":"x","shape":{"shards":0,"replicas":3},"roundMs":1,"rounds":[]}',
  )
  expect(await run('--schedule', path)).toBe(2)
  expect(said).toHaveLength(2)
  expect(said[0]).toMatch(/^chaos: \S+schedule\.json: not a schedule: seed: .*number/)
  expect(said[1]).toMatch(/^chaos: \S+schedule\.json: not a schedule: shape\.shards: /)
  said = []
  expect(await run('--schedule', join(folder, 'none.json'))).toBe(2)
  expect(said).toEqual([expect.stringMatching(/^chaos: \S+none\.json: ENOENT/)])
})

test.runIf(process.platform === 'linux')('kill -9 of a run takes its cluster along', async () => {
  // The data of the nodes is in `folder` then, so that they are told from those of other runs on the machine.
  // The first fault that this seed draws is a partition.
  const options = ['--shards', '1', '--seed', '84', '--faults', 'partition,pause', '--out', join(folder, 'out')]
  const chaos = new Program([
    'env',
    `TMPDIR=${folder}`,
    process.execPath,
    join(ROOT, 'dist/test/chaos/main.js'),
    ...options,
  ])
  await until('a fault', () => chaos.stderr.includes('partition: '), BEGIN_MS_MAX)
  // The proxy, which does not name the folder, and others.
  const children = readFileSync(`/proc/${chaos.pid}/task/${chaos.pid}/children`, 'utf8').trim().split(' ')
  expect(children.length).toBeGreaterThanOrEqual(2)
  expect(processesOf(folder).length).toBeGreaterThanOrEqual(8)
  chaos.signal('SIGKILL')
  await chaos.ended
  await until('every process to be gone', () => processesOf(folder).length === 0)
  await until('every child to be gone', () => readdirSync('/proc').every((name) => !children.includes(name)))
})
