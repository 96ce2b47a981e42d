import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.js'
import { StartFault } from '../faults.js'
import { localDriver } from './local.js'
import { Builds, inspectProgram } from './program.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-program-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function script(text: string): string {
  const path = join(folder, 'program')
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

/** One that has ended may wait for an init that never asks for it. */
function runs(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

test.each([
  ['echo 1.2.3-rc.1; echo command formats 1-7', { version: '1.2.3-rc.1', formatMax: 7 }],
  ['echo 0.1.0', { version: '0.1.0', formatMax: 1 }],
])('a node program says its version, and which formats it knows (%#)', async (text, info) => {
  const driver = localDriver({ program: 'kvnode', flags: [] })
  expect(await driver.inspect(script(`[ "$1" = --version ] || exit 1\n${text}`))).toEqual(info)
})

test('the one that was built says both', async () => {
  const program = join(import.meta.dirname, '..', '..', '..', 'dist', 'bin', 'kvnode')
  const info = await localDriver({ program, flags: [] }).inspect(program)
  expect(info.version).toMatch(/^\d/)
  expect(info.formatMax).toBeGreaterThanOrEqual(2)
})

test.each([
  ['says something else', 'echo ls 9.4', 'is no node program'],
  ['fails', 'echo no such option >&2; exit 2', 'it ended with exit code 2: no such option'],
  ['talks for ever', 'while :; do echo 1.2.3; done', 'it says far too much'],
])('a program that %s is none', async (_, text, says) => {
  const inspected = localDriver({ program: 'kvnode', flags: [] }).inspect(script(text))
  await expect(inspected).rejects.toThrow(StartFault)
  await expect(inspected).rejects.toThrow(says)
})

test.runIf(process.platform === 'linux')(
  'nothing of a program is left that did not end, nor of what it had started',
  async () => {
    const path = script(`sleep 3600 & echo $! > ${folder}/pid; wait`)
    await expect(inspectProgram(path, '/mine', systemClock, 500)).rejects.toThrow(
      '/mine is no node program: asked for its --version it did not end within 0.5 s',
    )
    const pid = readFileSync(join(folder, 'pid'), 'utf8').trim()
    await expect.poll(() => runs(pid)).toBe(false)
    // One that ends, and leaves somebody who has its output.
    const leaves = script(`echo 1.2.3; sleep 3600 & echo $! > ${folder}/pid`)
    await expect(inspectProgram(leaves, '/mine', systemClock, 500)).rejects.toThrow('did not end')
    const other = readFileSync(join(folder, 'pid'), 'utf8').trim()
    await expect.poll(() => runs(other)).toBe(false)
  },
)

test('behind a proxy no other program takes the place of the first', async () => {
  const driver = localDriver({ program: script('exit'), flags: [], wrapped: true })
  expect(() => driver.check()).not.toThrow()
  expect(() => driver.check(join(folder, 'program'))).toThrow('puts a proxy before them')
  await expect(driver.inspect(join(folder, 'program'))).rejects.toThrow('puts a proxy before them')
})

test('a build is told by what is in the file, whenever that changes', async () => {
  const builds = new Builds()
  const path = script('one')
  const first = await builds.of(path)
  expect(first).toMatch(/^[0-9a-f]{12}$/)
  expect(await builds.of(path)).toBe(first)
  script('another')
  const second = await builds.of(path)
  expect(second).not.toBe(first)
  rmSync(path)
  expect(await builds.of(path)).toBe('')
  script('another')
  expect(await builds.of(path)).toBe(second)
})

test('a text is not run, whatever it says', async () => {
  const path = join(folder, 'README.md')
  writeFileSync(path, '# kvnode\n\n`touch ran`\n', { mode: 0o755 })
  await expect(localDriver({ program: 'kvnode', flags: [] }).inspect(path)).rejects.toThrow('is no node program')
  expect(existsSync(join(folder, 'ran'))).toBe(false)
})
