// `npm run sanity` as a person runs it, against a cluster of 3 x 3, through both services.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from '../harness/cluster.js'
import { ROOT } from '../harness/root.js'

const run = promisify(execFile)
const PROGRAM = join(ROOT, 'dist/test/sanity/main.js')

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start()
})
afterAll(() => cluster?.dispose())

test.each(['kvorum', 'compat'])('the store agrees with a Map (%s)', async (service) => {
  const args = ['--address', cluster.address, '--populate', '1000', '--iters', '1000', '--service', service]
  const { stdout } = await run(process.execPath, [PROGRAM, ...args], { timeout: 100_000 })
  console.log(stdout)
  expect(stdout).toContain('sane: the store and the Map agree')
})

test.each(['compat', 'kvorum'])('the concurrent benchmark runs without an error (%s)', async (service) => {
  const args = ['--address', cluster.address, '--workers', '3', '--iters', '90', '--service', service]
  const { stdout } = await run(process.execPath, [join(ROOT, 'dist/bench/main.js'), ...args], { timeout: 60_000 })
  console.log(stdout)
  expect(stdout).toMatch(/270 operations in .* 0 errors/)
})
