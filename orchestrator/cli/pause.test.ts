import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pauseProcess, wakeProcess } from './pause.js'

let folder: string
let victim: ChildProcess
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-pause-'))
  victim = spawn('sleep', ['100'], { stdio: 'ignore' })
  await once(victim, 'spawn')
})
afterEach(async () => {
  const ended = once(victim, 'exit')
  victim.kill('SIGKILL')
  await ended
  rmSync(folder, { recursive: true })
})

/** "T" is stopped. */
function state(): string | undefined {
  return /^State:\s+(\w)/m.exec(readFileSync(`/proc/${victim.pid}/status`, 'utf8'))?.[1]
}

async function begin(forMs: number): Promise<{ ended: Promise<boolean> }> {
  let ended: Promise<boolean> | undefined
  await new Promise<void>((begun) => {
    ended = pauseProcess({ pid: victim.pid ?? 0, directory: join(folder, 'node-1'), forMs }, begun)
  })
  return { ended: ended ?? Promise.resolve(false) }
}

describe.runIf(process.platform === 'linux')('a pause', () => {
  test('of two the one that ends later counts', async () => {
    const long = await begin(2_000)
    const short = await begin(1_000)
    expect(await short.ended).toBe(false)
    expect(state()).toBe('T')
    expect(await long.ended).toBe(true)
    await expect.poll(state).toBe('S')
    expect(existsSync(join(folder, 'node-1.pauses'))).toBe(false)
  })

  test('ends at once when a person wants that, and leaves nothing behind', async () => {
    const { ended } = await begin(3_600_000)
    process.emit('SIGINT')
    expect(await ended).toBe(true)
    await expect.poll(state).toBe('S')
    expect(readdirSync(folder)).toEqual([])
  })

  test('is ended by a heal, and a heal by no earlier pause', async () => {
    const first = await begin(1_000)
    const wake = () => wakeProcess(victim.pid ?? 0, join(folder, 'node-1'))
    expect(wake()).toBe(true)
    await expect.poll(state).toBe('S')
    expect(wake()).toBe(false)
    const second = await begin(3_600_000)
    expect(await first.ended).toBe(false)
    expect(state()).toBe('T')
    process.emit('SIGTERM')
    expect(await second.ended).toBe(true)
  })
})
