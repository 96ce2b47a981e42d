// Runs one program of the test run and never leaves the screen silent for long.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

const SILENCE_MS_MAX = 20_000
const REPORT_LINES_MAX = 40

export function announce(line) {
  console.log(`== ${line}`)
}

/** A report short enough to be told again: its first line says what failed, its last lines mostly why. */
export function ending(report) {
  const lines = report.trimEnd().split('\n')
  return lines.length <= REPORT_LINES_MAX
    ? lines.join('\n')
    : [lines[0], '...', ...lines.slice(2 - REPORT_LINES_MAX)].join('\n')
}

export function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`
}

/**
 * Runs argv to its end. Resolves with its exit code and what it wrote; each line also goes to `onLine`, which decides
 * what a person sees, and after a long silence `busyWith` says what it is at. A program that cannot be started counts as
 * failed, with the reason as its output.
 */
export function run(argv, { cwd = '.', env = {}, onLine = (line) => console.log(line), busyWith = () => '' } = {}) {
  return new Promise((resolve) => {
    const started = performance.now()
    let output = ''
    let pending = ''
    const alive = () => announce(`... ${argv.slice(0, 3).join(' ')} ${busyWith()}(${seconds(started)})`)
    const silence = setInterval(alive, SILENCE_MS_MAX)
    const finish = (code) => {
      clearInterval(silence)
      process.off('SIGTERM', stop)
      if (pending !== '') onLine(pending)
      resolve({ code, output })
    }
    const child = spawn(argv[0], argv.slice(1), {
      cwd: join(ROOT, cwd),
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // Ctrl-C reaches the whole process group by itself; a SIGTERM comes only here.
    const stop = () => child.kill('SIGTERM')
    process.on('SIGTERM', stop)
    const take = (chunk) => {
      output += chunk
      const lines = (pending + chunk).split('\n')
      pending = lines.pop() ?? ''
      for (const line of lines) onLine(line)
      silence.refresh()
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    child.once('error', (error) => {
      take(`${argv[0]}: ${error.message}\n`)
      finish(1)
    })
    child.once('close', (code) => finish(code ?? 1))
  })
}
