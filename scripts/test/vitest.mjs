// vitest, counted through its JSON report.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { ROOT, run } from './run.mjs'

export async function vitest(project) {
  const folder = mkdtempSync(join(tmpdir(), 'kvorum-vitest-'))
  const report = join(folder, 'report.json')
  try {
    const { code } = await run([
      'node_modules/.bin/vitest',
      'run',
      '--project',
      project,
      '--reporter=verbose',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ])
    return count(report, code)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function count(report, code) {
  let passed = 0
  let failed = 0
  let reports = []
  try {
    const found = JSON.parse(readFileSync(report, 'utf8'))
    passed = found.numPassedTests
    failed = found.numFailedTests
    reports = found.testResults.flatMap(failures)
  } catch (error) {
    console.error(`vitest left no report: ${error.message}`)
  }
  // A file that does not load, or an error outside every test, is a failure that no test counts.
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed, reports }
}

/** What is to be said of one test file: each test that failed, with its reasons, or why the file did not load. */
function failures({ name, message, assertionResults }) {
  const file = relative(ROOT, name)
  const fallen = assertionResults.filter(({ status }) => status === 'failed')
  if (fallen.length === 0) return message === '' ? [] : [`${file}: ${message}`]
  return fallen.map(({ fullName, failureMessages }) => `${file} > ${fullName}\n${failureMessages.join('\n')}`)
}
