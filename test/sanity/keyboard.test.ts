// The programs of `npm run sanity`, `npm run bench` and `npm run kvorum` at the keyboard, without a cluster: nobody to talk
// to, or a command line that is none. One clear line, soon, and the exit code that says which.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../harness/root.js'

const SANITY = 'dist/test/sanity/main.js'
const BENCH = 'dist/bench/main.js'
const CORE = 'dist/bench/core/main.js'
const KVORUM = 'dist/orchestrator/cli/main.js'
/** 2 s are promised, to which a busy machine adds the start of Node.js. */
const SOON_MS = 5_000

interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(program: string, ...args: string[]): Promise<Said> {
  return new Promise((resolve, reject) => {
    const options = { timeout: SOON_MS }
    execFile(process.execPath, [join(ROOT, program), ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(new Error(`${program} did not end by itself: ${stdout}${stderr}`, { cause: error }))
    })
  })
}

test.each([
  [SANITY, 'sanity', []],
  [SANITY, 'sanity', ['--populate', '0', '--iters', '0']],
  [SANITY, 'sanity', ['--service', 'compat']],
  [BENCH, 'bench', ['--workers', '3']],
  [BENCH, 'bench', ['--service', 'compat']],
  [KVORUM, 'kvorum', ['status']],
  [KVORUM, 'kvorum', ['put', 'k', 'v']],
])('%s without a server is one line and code 3 (%s %j)', async (program, name, args) => {
  const { code, stdout, stderr } = await run(program, ...args, '--address', '127.0.0.1:1')
  const line =
    'no Kvorum server answers on 127.0.0.1:1 (nobody listens there); start one with npm start, or say --address'
  expect({ code, stdout, stderr }).toEqual({ code: 3, stdout: '', stderr: `${name}: ${line}\n` })
})

test.each([
  [SANITY, ['--populate', 'many']],
  [SANITY, ['--address', 'nowhere']],
  [SANITY, ['--loud']],
  [BENCH, ['--workers', '65']],
  [BENCH, ['--workers', '0']],
  [BENCH, ['--service', 'other']],
  [BENCH, ['more']],
  [CORE, ['--runs', 'x']],
  [KVORUM, ['frobnicate']],
])('wrong usage is code 2, and is said (%s %j)', async (program, args) => {
  const { code, stdout, stderr } = await run(program, ...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^error: /)
})

test('too many workers: told how many there can be', async () => {
  const { stderr } = await run(BENCH, '--workers', '1000')
  expect(stderr).toContain("'1000' is invalid. a whole number from 1 to 64 is needed")
})

test('sanity and bench begin with the same service, and --help shows no default that is chance', async () => {
  for (const program of [SANITY, BENCH]) {
    const { code, stdout } = await run(program, '--help')
    expect(code).toBe(0)
    // Commander folds long lines.
    expect(stdout.replace(/\s+/g, ' ')).toContain('(choices: "kvorum", "compat", default: "kvorum")')
    expect(stdout).not.toMatch(/--seed.*default: \d/)
  }
})

test('kvorum --version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  expect(await run(KVORUM, '--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})
