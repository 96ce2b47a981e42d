// go test, counted: every test and subtest that passed or failed. Skipped ones count as neither.
import { run } from './run.mjs'

export async function goTest({ race, cwd, packages = './...' }) {
  const tally = new GoTally((line) => console.log(line))
  const flags = race ? ['-race'] : []
  const { code } = await run(['go', 'test', '-json', '-timeout=5m', ...flags, packages], {
    cwd,
    onLine: (line) => tally.take(line),
    busyWith: () => tally.running(),
  })
  return tally.result(code)
}

/** Reads the events of `go test -json`, shows a line per package and the output of each test that failed. */
export class GoTally {
  #print
  #passed = 0
  #failed = 0
  /** "package test" -> its output so far, kept only until the test ends. */
  #outputs = new Map()
  #failedIn = new Set()
  #running = new Set()
  #reports = []

  constructor(print) {
    this.#print = print
  }

  take(line) {
    const event = parse(line)
    if (event === undefined) {
      this.#print(line)
      return
    }
    const key = `${event.Package ?? event.ImportPath ?? ''} ${event.Test ?? ''}`
    if (event.Action === 'start') this.#running.add(event.Package)
    else if (event.Action === 'output' || event.Action === 'build-output') this.#keep(key, event.Output ?? '')
    else if (event.Action === 'pass' || event.Action === 'skip') this.#ended(key, event)
    else if (event.Action === 'fail' || event.Action === 'build-fail') this.#fell(key, event)
  }

  /** The packages whose tests have begun and not ended, for people. */
  running() {
    return [...this.#running].map((name) => `${name.replace('kvorum/', '')} `).join('')
  }

  /** A run that failed in a way no event told (a crash of go itself) still counts as a failure. */
  result(code) {
    const failed = code !== 0 && this.#failed === 0 ? 1 : this.#failed
    return { passed: this.#passed, failed, reports: this.#reports }
  }

  #keep(key, output) {
    this.#outputs.set(key, (this.#outputs.get(key) ?? '') + output)
  }

  #ended(key, event) {
    this.#outputs.delete(key)
    if (event.Test === undefined) this.#show(event.Action === 'pass' ? 'ok  ' : 'none', event)
    else if (event.Action === 'pass') this.#passed++
  }

  #fell(key, event) {
    const output = this.#outputs.get(key) ?? ''
    this.#outputs.delete(key)
    if (output !== '') {
      this.#print(output.trimEnd())
      this.#reports.push(`${key}\n${output}`)
    }
    if (event.Test !== undefined) {
      this.#failed++
      this.#failedIn.add(event.Package)
    } else if (event.Action === 'fail') {
      this.#show('FAIL', event)
      // It did not build, or died outside a test: one failure for the package.
      if (!this.#failedIn.has(event.Package)) this.#failed++
    }
  }

  #show(word, event) {
    this.#running.delete(event.Package)
    this.#print(`${word} ${event.Package} ${(event.Elapsed ?? 0).toFixed(1)} s`)
  }
}

function parse(line) {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
