import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { Command } from 'commander'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { complete, historyFileIn, type ShellOptions, shell, wordsOf } from './shell.js'

let folder: string
let ran: (readonly string[])[]
let warned: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-shell-'))
  ran = []
  warned = ''
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const context = {
  out: () => {},
  warn: (text: string) => {
    warned += text
  },
  colours: false,
  columns: 0,
  version: '0',
}

function program(): Command {
  const made = new Command('kvorum').option('--address <host:port>', 'a gateway')
  made.command('get <key>').description('get').option('--json', 'for programs').option('--stale <ms>', 'bound')
  made.command('node <how>').description('node').option('--machine <name>', 'on it')
  made.command('shell').description('shell')
  return made
}

async function type(text: string, changes: Partial<ShellOptions> = {}, isTTY = false) {
  const input = Object.assign(new PassThrough(), { isTTY })
  const output = new PassThrough()
  const run = async (words: readonly string[]) => {
    ran.push(words)
    return words[0] === 'bad' ? 3 : 0
  }
  const ended = shell(
    { program: program(), run, input, output, historyFile: join(folder, 's', 'history'), ...changes },
    context,
  )
  input.end(text)
  return { code: await ended, shown: String(output.read() ?? '') }
}

describe('lines', () => {
  test.each<[string, string[] | undefined]>([
    ['', []],
    ['  get  k1 ', ['get', 'k1']],
    [`put k 'a b'`, ['put', 'k', 'a b']],
    [`put "k 1" a\\ b`, ['put', 'k 1', 'a b']],
    [`put k "say \\"hi\\" \\\\"`, ['put', 'k', 'say "hi" \\']],
    [`put k ''`, ['put', 'k', '']],
    [`put k a'b'"c"d`, ['put', 'k', 'abcd']],
    [`put k 'open`, undefined],
    [`put k "open`, undefined],
    [`put k x"open`, undefined],
  ])('%j is %j', (line, words) => {
    expect(wordsOf(line)).toEqual(words)
  })

  test('are run one after the other until the end, and the last one decides', async () => {
    expect((await type('get k1\n\nhelp\nbad\n')).code).toBe(3)
    expect(ran).toEqual([['get', 'k1'], ['--help'], ['bad']])
    expect((await type('bad\nget k1\nexit\nget k2\n')).code).toBe(0)
    expect(ran.at(-1)).toEqual(['get', 'k1'])
  })

  test('that cannot be run are said, and nothing is run', async () => {
    await type(`shell\nput k 'open\n`)
    expect(ran).toEqual([])
    expect(warned).toBe('kvorum: shell is for outside of the shell\nkvorum: a quote is not closed\n')
  })

  test('on a terminal are prompted for and kept, for this user alone; those of a pipe are not', async () => {
    await type('get piped\n')
    const file = join(folder, 's', 'history')
    expect(() => statSync(file)).toThrow('ENOENT')
    const { code, shown } = await type('get k1\nbad\n', {}, true)
    expect(code).toBe(0)
    expect(shown).toContain('kvorum> ')
    expect(readFileSync(file, 'utf8')).toBe('get k1\nbad\n')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    await type('get k2\n', {}, true)
    expect(readFileSync(file, 'utf8')).toBe('get k1\nbad\nget k2\n')
  })
})

test('Ctrl-C ends the command that runs, and only that', async () => {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const run = async (words: readonly string[], interrupted: AbortSignal) => {
    ran.push(words)
    if (words[0] !== 'watch') return 0
    const heard = once(interrupted, 'abort')
    input.write('\u0003')
    await heard
    input.end('get k1\nexit\n')
    return 3
  }
  const options = { program: program(), run, input, output: new PassThrough(), historyFile: undefined }
  const ended = shell(options, context)
  input.write('watch user:\n')
  expect(await ended).toBe(0)
  expect(ran).toEqual([
    ['watch', 'user:'],
    ['get', 'k1'],
  ])
})

describe('completion', () => {
  const completeKeys = async (prefix: string) => ['user:1', 'user:2', 'x'].filter((key) => key.startsWith(prefix))
  test.each<[string, string[], string]>([
    ['g', ['get '], 'g'],
    ['', ['get ', 'node ', 'help ', 'exit '], ''],
    ['sh', [], 'sh'],
    ['get us', ['user:1 ', 'user:2 '], 'us'],
    ['get --j', ['--json '], '--j'],
    ['get user:1 --', ['--json ', '--stale ', '--help '], '--'],
    ['get user:1 --json --', ['--stale ', '--help '], '--'],
    ['node dr', ['drain '], 'dr'],
    ['nothing x', [], 'x'],
  ])('of %j', async (line, offered, begun) => {
    expect(await complete(line, { program: program(), completeKeys })).toEqual([offered, begun])
  })

  test('without a way to look keys up offers none', async () => {
    expect(await complete('get us', { program: program() })).toEqual([[], 'us'])
  })
})

test.each([
  [{ XDG_STATE_HOME: '/state', HOME: '/h' }, '/state/kvorum/history'],
  [{ HOME: '/h' }, '/h/.local/state/kvorum/history'],
  // A relative one is to be ignored, by the same rules.
  [{ XDG_STATE_HOME: 'state', HOME: '/h' }, '/h/.local/state/kvorum/history'],
  [{ HOME: '' }, undefined],
])('with %o the history is in %s', (environment, file) => {
  expect(historyFileIn(environment)).toBe(file)
})
