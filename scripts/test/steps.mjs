// The kinds of check that are one program: each counts as one.
import { spawnSync } from 'node:child_process'
import { announce, run } from './run.mjs'

const PASSED = { passed: 1, failed: 0, reports: [] }
const failed = (output) => ({ passed: 0, failed: 1, reports: [output] })

/** Passes when the program ends with code 0. */
export async function command(argv, options) {
  const { code, output } = await run(argv, options)
  return code === 0 ? PASSED : failed(output)
}

/** Passes when the program ends with code 0 and has nothing to say. */
export async function empty(argv, options) {
  const { code, output } = await run(argv, options)
  return code === 0 && output.trim() === '' ? PASSED : failed(output)
}

/** One step of several parts, one after the other. */
export async function together(parts) {
  const total = { passed: 0, failed: 0, reports: [] }
  for (const part of parts) {
    const { passed, failed, reports } = await part()
    total.passed += passed
    total.failed += failed
    total.reports.push(...reports)
  }
  return total
}

/** The race detector needs a C compiler. In CI it is not optional. */
export function cCompiler() {
  if (process.env.CI !== undefined && process.env.CI !== '') return true
  const found = spawnSync(process.env.CC ?? 'cc', ['--version']).status === 0
  if (!found) announce('no C compiler here: the Go tests run without the race detector')
  return found
}
