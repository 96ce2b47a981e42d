import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { type Entry, entriesOf, flagsOf } from './completion.js'
import type { Context } from './context.js'
import { EXIT } from './exit-codes.js'

/** What runs a line: the words of a command, without the program's own name, until it ends or is interrupted. Gives the exit code. */
export type RunLine = (words: readonly string[], interrupted: AbortSignal) => Promise<number>

/** The keys that begin like this, a few of them, for completion. */
export type CompleteKeys = (prefix: string) => Promise<readonly string[]>

export interface ShellOptions {
  readonly program: Command
  readonly run: RunLine
  /** Absent: keys are not completed. */
  readonly completeKeys?: CompleteKeys
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream
  /** Where lines are kept for the next time; undefined: nowhere. */
  readonly historyFile: string | undefined
}

const HISTORY_LINES = 1_000
const PROMPT = 'kvorum> '
/** Whose first word is a key. */
const TAKE_KEYS: ReadonlySet<string> = new Set([
  'get',
  'put',
  'append',
  'delete',
  'incr',
  'cas',
  'ttl',
  'touch',
  'watch',
])
/** What makes no sense inside: itself, what never ends or is not about this cluster. */
const OUTSIDE: ReadonlySet<string> = new Set(['shell', 'agent', 'chaos', 'completion'])
const WORDS_OF_ITS_OWN = ['help', 'exit']

/**
 * Reads lines, and runs each as a command, until `exit`, the end of the input, or Ctrl-D. Ctrl-C takes a line back, or ends the
 * command that runs, and only that. Gives the exit code of the last command when the input is no terminal, so that a
 * script ends as its last line did.
 */
export async function shell(options: ShellOptions, { warn }: Context): Promise<number> {
  const { input, output, run, historyFile } = options
  const isTerminal = input.isTTY === true
  const lines = createInterface({
    input,
    output: isTerminal ? output : undefined,
    terminal: isTerminal,
    prompt: PROMPT,
    history: isTerminal ? readHistory(historyFile) : [],
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string, done: (error: null, found: [string[], string]) => void) => {
      // A key that cannot be looked up is not offered; the line can be typed all the same.
      complete(line, options).then(
        (found) => done(null, found),
        () => done(null, [[], line]),
      )
    },
  })
  let running: AbortController | undefined
  let last: number = EXIT.ok
  lines.on('history', (history: string[]) => writeHistory(historyFile, history))
  lines.on('SIGINT', () => {
    if (running === undefined) {
      lines.write(null, { ctrl: true, name: 'u' })
      lines.prompt()
      return
    }
    running.abort()
    // What waits for the signal itself, as a fault does, which is to be healed. Where nobody does it would end the shell.
    if (process.listenerCount('SIGINT') > 0) process.kill(process.pid, 'SIGINT')
  })
  if (isTerminal) lines.prompt()
  for await (const line of lines) {
    const words = wordsOf(line)
    if (words === undefined) warn('kvorum: a quote is not closed\n')
    else if (words[0] === 'exit' || words[0] === 'quit') break
    else if (OUTSIDE.has(words[0] ?? '')) warn(`kvorum: ${words[0]} is for outside of the shell\n`)
    else if (words.length > 0) {
      running = new AbortController()
      last = await run(words[0] === 'help' ? ['--help'] : words, running.signal)
      running = undefined
    }
    if (isTerminal) lines.prompt()
  }
  lines.close()
  return isTerminal ? EXIT.ok : last
}

/** As a shell takes a line apart: '...' as it is, "..." with \\ before what is meant as it is. Undefined: a quote is open. */
export function wordsOf(line: string): string[] | undefined {
  const words: string[] = []
  let rest = line.trim()
  while (rest !== '') {
    const [all = ''] = /^(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/.exec(rest) ?? []
    if (all === '') return undefined
    const following = rest.slice(all.length)
    // A quote that nobody closes stands right behind what could be read.
    if (following !== '' && !/^\s/.test(following)) return undefined
    words.push(all.replace(/\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"/g, unquoted))
    rest = following.trimStart()
  }
  return words
}

function unquoted(_: string, escaped: string | undefined, plain: string | undefined, double = ''): string {
  return escaped ?? plain ?? double.replace(/\\(.)/g, '$1')
}

/** What can stand in the place of the last word of the line, and that word. */
export async function complete(
  line: string,
  { program, completeKeys }: Pick<ShellOptions, 'program' | 'completeKeys'>,
): Promise<[string[], string]> {
  const [, before = '', begun = ''] = /^(.*?)(\S*)$/.exec(line) ?? []
  const words = before.trim() === '' ? [] : before.trim().split(/\s+/)
  const entries = entriesOf(program).filter(({ name }) => !OUTSIDE.has(name))
  const fitting = (some: readonly string[]) => some.filter((one) => one.startsWith(begun)).map((one) => `${one} `)
  const [command] = words
  if (command === undefined) return [fitting([...entries.map(({ name }) => name), ...WORDS_OF_ITS_OWN]), begun]
  const entry = entries.find(({ name }) => name === command)
  if (entry === undefined) return [[], begun]
  const isKey = words.length === 1 && TAKE_KEYS.has(command) && !begun.startsWith('-')
  if (isKey) return [fitting((await completeKeys?.(begun)) ?? []), begun]
  return [fitting(offered(entry, words, program)), begun]
}

function offered({ options, words: first }: Entry, words: readonly string[], program: Command): readonly string[] {
  const before = [...options, ...flagsOf(program)].find(({ name }) => name === words.at(-1))
  if (before?.takesValue === true) return before.values
  const names = options.map(({ name }) => name).filter((name) => !words.includes(name))
  return words.length === 1 ? [...first, ...names] : names
}

/** Of this user, by the rules for state (XDG Base Directory). Undefined where there is no home. */
export function historyFileIn(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const { XDG_STATE_HOME: state = '', HOME: home = homedir() } = environment
  const base = state.startsWith('/') ? state : home === '' ? undefined : join(home, '.local', 'state')
  return base === undefined ? undefined : join(base, 'kvorum', 'history')
}

/** Newest first, as readline has it; the file has the newest last. */
function readHistory(file: string | undefined): string[] {
  if (file === undefined) return []
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .reverse()
      .slice(0, HISTORY_LINES)
  } catch {
    // There is none yet, or it cannot be read: a shell without one is one all the same.
    return []
  }
}

/** For this user alone: values stand in it. */
function writeHistory(file: string | undefined, history: readonly string[]): void {
  if (file === undefined) return
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(
      file,
      [...history]
        .reverse()
        .map((line) => `${line}\n`)
        .join(''),
      { mode: 0o600 },
    )
  } catch {
    // A full or read-only disk takes nothing from the shell.
  }
}
