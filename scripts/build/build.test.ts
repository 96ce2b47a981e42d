import { spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

// A project of its own with compilers of its own, that write down that they were called.

let root: string
let bin: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kvorum-build-'))
  bin = join(root, 'bin')
  for (const folder of ['bin', 'orchestrator', 'test', 'bench', 'node-go']) mkdirSync(join(root, folder))
  cpSync(import.meta.dirname, join(root, 'scripts', 'build'), { recursive: true })
  cpSync(join(import.meta.dirname, '..', 'start.mjs'), join(root, 'scripts', 'start.mjs'))
  write('package.json', '{"type": "module", "version": "1.2.3"}')
  write('tsconfig.json', '{}')
  write('orchestrator/main.ts', 'console.log("running")')
  write('node-go/main.go', 'package main')
  const packages = { 'node_modules/typescript': { version: '6.0.3' } }
  write('package-lock.json', JSON.stringify({ packages }))
  mkdirSync(join(root, 'node_modules', 'typescript', 'bin'), { recursive: true })
  write('node_modules/.package-lock.json', JSON.stringify({ packages }))
  write('node_modules/typescript/package.json', '{"type": "commonjs"}')
  write(
    'node_modules/typescript/bin/tsc',
    `const fs = require('fs')
fs.mkdirSync('dist/orchestrator', { recursive: true })
fs.copyFileSync('orchestrator/main.ts', 'dist/orchestrator/main.js')
fs.appendFileSync('calls', 'tsc\\n')`,
  )
  fakeGo('go1.25.3')
  command('npm', `echo "npm $*" >> ${root}/calls; cp package-lock.json node_modules/.package-lock.json`)
})
afterEach(() => rmSync(root, { recursive: true }))

function write(path: string, text: string): void {
  writeFileSync(join(root, path), text)
}

function command(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(bin, name), 0o755)
}

function fakeGo(version: string): void {
  const build = `mkdir -p ${root}/dist/bin; touch ${root}/dist/bin/kvnode; echo go >> ${root}/calls`
  command('go', `if [ "$1" = env ]; then echo ${version}; else ${build}; fi`)
}

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(args: readonly string[] = [], path = `${bin}${delimiter}/usr/bin${delimiter}/bin`): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { PATH: path }
    const child = spawn(process.execPath, [join(root, 'scripts', 'start.mjs'), ...args], { cwd: root, env })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

function calls(): string[] {
  const path = join(root, 'calls')
  const found = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
  rmSync(path, { force: true })
  return found
}

describe('npm start', () => {
  test('builds what is not current, telling what it does, and runs the program', async () => {
    const { code, stdout, stderr } = await start()
    expect([code, stdout]).toEqual([0, 'running\n'])
    expect(stderr).toMatch(/compiling TypeScript \.\.\.\n.*compiling TypeScript: done .*\n.*compiling the node/)
    expect(calls()).toEqual(['tsc', 'go'])
  })

  test('builds nothing that is current, and says nothing', async () => {
    await start()
    calls()
    expect(await start()).toEqual({ code: 0, stdout: 'running\n', stderr: '' })
    expect(calls()).toEqual([])
  })

  test.each([
    ['orchestrator/main.ts', 'console.log("changed")', ['tsc']],
    ['node-go/main.go', 'package main // changed', ['go']],
    ['tsconfig.json', '{"changed": true}', ['tsc']],
    ['node-go/notes.md', 'not a source', []],
  ])('builds again what %s changes', async (path, text, expected) => {
    await start()
    calls()
    write(path, text)
    expect((await start()).code).toBe(0)
    expect(calls()).toEqual(expected)
  })

  test('installs when the lock file says something else than what is installed', async () => {
    await start()
    calls()
    const packages = {
      'node_modules/typescript': { version: '6.0.3' },
      'node_modules/level': { version: '10.0.0' },
      'node_modules/other-platform': { version: '1.0.0', optional: true },
    }
    write('package-lock.json', JSON.stringify({ packages }))
    expect((await start()).stderr).toContain('installing npm packages (package-lock.json has changed)')
    expect(calls()).toEqual(['npm ci --ignore-scripts --include=dev --no-audit --no-fund'])
    await start()
    expect(calls()).toEqual([])
  })

  test('does not mind what npm leaves out on this platform', async () => {
    const packages = {
      'node_modules/typescript': { version: '6.0.3' },
      'node_modules/other-platform': { version: '1.0.0', optional: true },
    }
    write('package-lock.json', JSON.stringify({ packages }))
    await start()
    expect(calls()).toEqual(['tsc', 'go'])
  })

  test('starts without Go when nothing is to be built', async () => {
    await start()
    rmSync(join(bin, 'go'))
    expect(await start([], bin)).toEqual({ code: 0, stdout: 'running\n', stderr: '' })
  })

  test.each([
    ['is missing', undefined, /^kvorum: Go 1\.25 or newer is needed to build the node, and no go was found in PATH\n$/],
    ['is too old', 'go1.24.9', /^kvorum: Go 1\.25 or newer is needed to build the node, and this is go1\.24\.9\n$/],
  ])('says in one line, before anything else, that Go %s', async (_, version, line) => {
    if (version === undefined) rmSync(join(bin, 'go'))
    else fakeGo(version)
    const { code, stdout, stderr } = await start([], bin)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(line)
    expect(calls()).toEqual([])
  })

  test('stops when a build fails, and builds again the next time', async () => {
    command('go', 'if [ "$1" = env ]; then echo go1.26; else echo "main.go:1: broken" >&2; exit 2; fi')
    const { code, stderr } = await start()
    expect(code).toBe(1)
    expect(stderr).toContain('main.go:1: broken')
    expect(stderr).toContain('kvorum: compiling the node (Go) failed (exit code 2); the lines above say why')
    fakeGo('go1.26')
    calls()
    expect((await start()).code).toBe(0)
    expect(calls()).toEqual(['go'])
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends the compiler as well', async (signal) => {
    command('go', `if [ "$1" = env ]; then echo go1.26; else echo $$ > ${root}/pid; exec sleep 60; fi`)
    const child = spawn(process.execPath, [join(root, 'scripts', 'start.mjs')], {
      cwd: root,
      env: { PATH: `${bin}${delimiter}/usr/bin${delimiter}/bin` },
      stdio: 'ignore',
    })
    const ended = new Promise((resolve) => child.on('close', (...how) => resolve(how)))
    const pid = await vi.waitFor(() => {
      const written = Number(readFileSync(join(root, 'pid'), 'utf8'))
      expect(written).toBeGreaterThan(0)
      return written
    }, 10_000)
    child.kill(signal)
    expect(await ended).toEqual([null, signal])
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  test('takes over the lock of a build that died', async () => {
    mkdirSync(join(root, 'dist'))
    const dead = await new Promise<number | undefined>((resolve) => {
      const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
      child.on('close', () => resolve(child.pid))
    })
    write('dist/.build.lock', String(dead))
    expect((await start()).code).toBe(0)
    expect(existsSync(join(root, 'dist', '.build.lock'))).toBe(false)
  })

  test('two at once build once', async () => {
    const both = await Promise.all([start(), start()])
    expect(both.map(({ code }) => code)).toEqual([0, 0])
    expect(calls().sort()).toEqual(['go', 'tsc'])
  })

  test('many at once that find the lock of a dead build still build once', async () => {
    mkdirSync(join(root, 'dist'))
    write('dist/.build.lock', '')
    const all = await Promise.all(Array.from({ length: 6 }, () => start()))
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0])
    expect(calls().sort()).toEqual(['go', 'tsc'])
  })
})

test('a too old Node.js is told in one line', async () => {
  const script = `Object.defineProperty(process.versions, 'node', { value: '20.18.9' })
import(${JSON.stringify(join(root, 'scripts', 'build', 'node-version.mjs'))})`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect([code, stderr]).toEqual([1, 'kvorum: Node.js 20.18.9 is too old; install Node.js 20.19 or newer\n'])
})
