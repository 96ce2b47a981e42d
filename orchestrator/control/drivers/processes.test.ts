import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { isBehindProxy, isNode, nodesOn } from './processes.js'

const DIRECTORY = '/data/shard-1/node-1'

let child: ChildProcess | undefined
afterEach(async () => {
  if (child === undefined) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  child = undefined
})

/** A process that does nothing, under a name and with arguments as a node has them. */
async function pretend(name: string, ...args: string[]): Promise<number> {
  child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', ...args], {
    argv0: name,
    stdio: 'ignore',
  })
  await once(child, 'spawn')
  const pid = child.pid ?? 0
  // A process has its parent's command line until it has become another program.
  await expect.poll(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]).toBe(name)
  return pid
}

describe.runIf(process.platform === 'linux')('a node', () => {
  test.each([
    ['/opt/kvorum/bin/kvnode', ['--data', DIRECTORY, '--shard', '1']],
    ['kvnode', ['--shard', '1', `-data=${DIRECTORY}`]],
    ['/opt/other-name', ['--data', DIRECTORY]],
  ])('is a process called %s with %j', async (name, args) => {
    expect(isNode(await pretend(name, ...args), DIRECTORY, '/opt/other-name')).toBe(true)
  })

  test.each([
    ['tail', ['-f', DIRECTORY]],
    ['tail', ['--data', DIRECTORY]],
    ['kvnode', [DIRECTORY]],
    ['kvnode', ['--data', `${DIRECTORY}0`]],
    ['kvnode', ['--data', '/elsewhere', '--peers', DIRECTORY]],
    ['kvnode', ['--data']],
  ])('is not a process called %s with %j', async (name, args) => {
    expect(isNode(await pretend(name, ...args), DIRECTORY, '/opt/kvorum/bin/kvnode')).toBe(false)
  })

  test('is found by the data that it is on, and told from one behind a proxy', async () => {
    const words = ['--data', DIRECTORY, '--dial-from', '127.64.1.1']
    await pretend('/opt/kvorum/bin/kvnode', ...words)
    const [found = [], ...more] = nodesOn('/data')
    expect(more).toEqual([])
    expect(found).toEqual(expect.arrayContaining(words))
    expect(isBehindProxy(found)).toBe(true)
    expect(isBehindProxy(['kvnode', '--data', DIRECTORY])).toBe(false)
    expect(nodesOn('/dat')).toEqual([])
  })

  test('is not a process that is gone', async () => {
    const pid = await pretend('kvnode', '--data', DIRECTORY)
    const ended = once(child as ChildProcess, 'exit')
    child?.kill('SIGKILL')
    await ended
    child = undefined
    expect(isNode(pid, DIRECTORY, 'kvnode')).toBe(false)
  })
})
