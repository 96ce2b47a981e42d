import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommand } from './program.js'
import { plainContext } from './testing/plain-context.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-completion-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function print(...args: string[]): Promise<{ code: number; out: string; warned: string }> {
  const context = plainContext()
  const code = await runCommand(args, {}, context)
  return { code, ...context.said }
}

/** What a real bash offers behind these words, the last of which is begun. */
function completed(script: string, words: readonly string[]): string[] {
  const path = join(folder, 'kvorum.bash')
  writeFileSync(path, script)
  const typed = ['kvorum', ...words]
  const ask = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kvorum; printf '%s\\n' "\${COMPREPLY[@]-}"`
  const out = execFileSync('bash', ['--norc', '-uc', ask, 'bash', path, ...typed], { encoding: 'utf8' })
  return out.split('\n').filter((line) => line !== '')
}

describe('bash', () => {
  test.each<[readonly string[], readonly string[]]>([
    [['sta'], ['status']],
    [['in'], ['incr']],
    [['--ti'], ['--timeout']],
    [['put', '--js'], ['--json']],
    [['--address', 'localhost:7000', 'sta'], ['status']],
    [['get', 'k1', '--st'], ['--stale']],
    [['node', 'un'], ['undrain']],
    [['node', 'drain', '--mach'], ['--machine']],
    [['fault', 'par'], ['partition']],
    [['operations', 'ca'], ['cancel']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish', '--help'],
    ],
    [['agent', '--log-level', 'w'], ['warn']],
    // The value of an option is no command, and what it can be is not known: files are offered.
    [['scale', '--shards', ''], []],
    [['--address', ''], []],
  ])('kvorum %j: %j', async (words, offered) => {
    expect(completed((await print('completion', 'bash')).out, words)).toEqual(offered)
  })

  test('offers every command, and is what complete calls', async () => {
    const { out } = await print('completion', 'bash')
    const help = (await print('--help')).out
    const commands = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name)
    expect(commands.length).toBeGreaterThan(12)
    expect(completed(out, [''])).toEqual(expect.arrayContaining(commands.filter((name) => name !== 'help')))
    const path = join(folder, 'kvorum.bash')
    const ask = 'source "$1"; complete -p kvorum'
    expect(execFileSync('bash', ['--norc', '-c', ask, 'bash', path], { encoding: 'utf8' })).toContain(
      '-F _kvorum kvorum',
    )
  })
})

describe.each(['zsh', 'fish'] as const)('%s', (shell) => {
  test('has each command and its options', async () => {
    const { out } = await print('completion', shell)
    for (const word of ['status', 'incr', 'undrain', 'stale', 'machine', 'partition']) expect(out).toContain(word)
  })

  test('reads it', async (context) => {
    const path = join(folder, `kvorum.${shell}`)
    writeFileSync(path, (await print('completion', shell)).out)
    const { error, status, stderr } = spawnSync(shell, ['-n', path], { encoding: 'utf8' })
    if (error !== undefined) context.skip(`${shell} is not installed`)
    expect([status, stderr]).toEqual([0, ''])
  })
})

test('another shell is wrong usage', async () => {
  const { code, warned } = await print('completion', 'tcsh')
  expect(code).toBe(2)
  expect(warned).toContain('bash, zsh, fish')
})
