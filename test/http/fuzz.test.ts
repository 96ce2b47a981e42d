// Schemathesis makes requests of the OpenAPI document, those that are right and those that are not, and holds every answer
// against it. It is installed for the test, into a folder of its own.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'

const run = promisify(execFile)

const VERSION = '4.32.5'
const INSTALL_MS_MAX = 60_000
const FUZZ_MS_MAX = 90_000
/** Of each operation and phase. */
const EXAMPLES = '40'
/** The same requests each time: a red test must mean a change of ours. By hand another one finds more. */
const SEED = process.env.FUZZ_SEED ?? '1'

/** What may become of a request that is right: a key that is absent, a condition that does not hold, a ms that is over. */
const SETTINGS = `[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 404, 408, 409, 412]

# Its headers break their own patterns and count as right: If-Match: 0, say.
[phases.coverage.checks.positive_data_acceptance]
enabled = false

# No schema says that keys are of one partition.
[[operations]]
include-path = "/v1/txn"

[operations.checks.positive_data_acceptance]
enabled = false
`

let folder: string
let cluster: Cluster
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-fuzz-'))
  writeFileSync(join(folder, 'schemathesis.toml'), SETTINGS)
  cluster = await Cluster.start({ shards: 2, replicas: 1 })
})
afterAll(async () => {
  await cluster?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** The program, or why there is none. */
async function install(): Promise<{ program?: string; reason?: string }> {
  const venv = join(folder, 'venv')
  const pip = ['install', '--quiet', '--disable-pip-version-check', '--retries', '1', `schemathesis==${VERSION}`]
  try {
    await run('python3', ['-m', 'venv', venv], { timeout: INSTALL_MS_MAX })
    await run(join(venv, 'bin/pip'), pip, { timeout: INSTALL_MS_MAX })
    return { program: join(venv, 'bin/schemathesis') }
  } catch (error) {
    return { reason: `schemathesis ${VERSION} cannot be installed here: ${(error as Error).message.slice(0, 300)}` }
  }
}

test('every answer is as the document says, whatever is asked', {
  timeout: INSTALL_MS_MAX * 2 + FUZZ_MS_MAX,
}, async (context) => {
  const { program, reason } = await install()
  if (program === undefined) {
    console.log(reason)
    context.skip(reason)
    return
  }
  // A watch does not end: http/watch.test.ts and test/http/watch ask it wrongly.
  const limits = [
    '--exclude-path',
    '/v1/watch',
    '--max-examples',
    EXAMPLES,
    '--seed',
    SEED,
    '--generation-database',
    'none',
    '--no-color',
  ]
  const url = `http://${cluster.httpAddress}/v1/openapi.json`
  const fuzz = run(program, ['run', url, '--phases', 'examples,coverage,fuzzing', ...limits], {
    cwd: folder,
    timeout: FUZZ_MS_MAX,
    maxBuffer: 1 << 26,
  })
  const { stdout } = await fuzz.catch((error: { stdout?: string; message: string }) => {
    throw new Error(`${error.message}\n${error.stdout ?? ''}`)
  })
  console.log(stdout.slice(stdout.indexOf('SUMMARY')))
  // What it fails on ends it with another exit code.
  expect(stdout).toMatch(/(\d+) generated, \1 passed/)
})
