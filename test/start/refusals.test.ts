// What goes wrong at the keyboard: each is one clear line and a code other than 0, and nothing is left behind.
import { chmodSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Cluster, startOrchestrator } from '../harness/cluster.js'
import { type Program, processesOf } from '../harness/process.js'
import { within } from '../harness/wait.js'

const END_MS_MAX = 30_000

/** What it says on stderr when it gives up: no stack. Nothing on stdout. 1, or 2 for wrong usage. */
async function refusalOf(program: Program, expected = 1): Promise<string> {
  const { code, signal } = await within('a refusal', END_MS_MAX, program.ended)
  expect([code, signal]).toEqual([expected, null])
  expect(program.stdout).toBe('')
  expect(program.stderr).not.toMatch(/^\s+at /m)
  return program.stderr
}

describe('on data that is in use', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start({ shards: 1, replicas: 1 })
  })
  afterAll(() => cluster?.dispose())

  test('a second orchestrator is refused with the pid of the first', async () => {
    const line = await refusalOf(cluster.spawn())
    expect(line).toContain(String(cluster.orchestrator.pid))
    expect(cluster.orchestrator.running).toBe(true)
  })

  test('other numbers of shards or replicas than the data has are refused, saying what is there', async () => {
    await cluster.stop()
    expect(await refusalOf(cluster.spawn({ shards: 2 }))).toMatch(/1 shard/)
    expect(await refusalOf(cluster.spawn({ replicas: 3 }))).toMatch(/1 replica/)
    expect(cluster.processes()).toEqual([])
    await cluster.restart()
  })

  test.each([
    ['the registry', 'orchestrator'],
    ['a part of the registry', 'orchestrator/CURRENT'],
  ])('nodes without %s are refused until it is put back, and nothing is made beside them', async (_, part) => {
    await cluster.stop()
    const [there, aside] = [join(cluster.data, part), join(cluster.data, 'aside')]
    renameSync(there, aside)
    const before = everythingIn(cluster.data)
    for (const shape of [{}, { shards: 2, replicas: 3 }]) {
      const said = await refusalOf(cluster.spawn(shape))
      expect(said.split('\n')).toHaveLength(1)
      expect(said).toMatch(
        /has nodes of cluster \w+, but its registry .*\/orchestrator is missing or damaged: put it back/,
      )
    }
    expect(everythingIn(cluster.data)).toEqual(before)
    renameSync(aside, there)
    await cluster.restart()
  })
})

describe('before anything is started', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvorum-refusals-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
    expect(processesOf(folder)).toEqual([])
  })

  test('a port that is in use', async () => {
    const { server, port } = await takePort()
    try {
      const data = join(folder, 'busy')
      for (const ports of [
        ['--port', String(port)],
        ['--port', '0', '--http-port', String(port)],
      ]) {
        const line = await refusalOf(startOrchestrator(['--data', data, ...ports]))
        const option = ports.at(-2)
        expect(line).toContain(
          `127.0.0.1:${port}: the port is in use: choose another with ${option}, or stop what uses it`,
        )
      }
    } finally {
      server.close()
    }
  })

  test('a data path that is a file', async () => {
    const data = join(folder, 'file')
    writeFileSync(data, 'mine')
    expect(await refusalOf(startOrchestrator(['--data', data, '--port', '0']))).toContain(data)
    expect(readdirSync(folder)).toContain('file')
  })

  // For root every directory is writable; disk.test.ts has a read-only disk.
  test.skipIf(process.getuid?.() === 0)('a data path that cannot be written', async () => {
    const locked = mkdtempSync(join(folder, 'locked-'))
    chmodSync(locked, 0o500)
    expect(await refusalOf(startOrchestrator(['--data', join(locked, 'data'), '--port', '0']))).toContain(locked)
  })

  test('flags: every fault at once, unknown ones refused', async () => {
    const flags = ['--data', join(folder, 'flags'), '--shards', '0', '--replicas', 'many']
    const said = await refusalOf(startOrchestrator(flags), 2)
    expect(said).toMatch(/--shards/)
    expect(said).toMatch(/--replicas/)
    expect(await refusalOf(startOrchestrator(['--shard', '3']), 2)).toMatch(/--shard/)
    // Also what is found only when the file that a flag names is read.
    const nowhere = join(folder, 'nowhere.json')
    expect(await refusalOf(startOrchestrator(['--driver', 'static', '--nodes', nowhere]), 2)).toContain(nowhere)
  })

  test('--help is not a fault', async () => {
    const program = startOrchestrator(['--help'])
    expect((await within('--help', END_MS_MAX, program.ended)).code).toBe(0)
    for (const flag of ['--shards', '--replicas', '--port', '--data', '--log-requests']) {
      expect(program.stdout).toContain(flag)
    }
  })
})

function everythingIn(data: string): string[] {
  return readdirSync(data, { recursive: true, encoding: 'utf8' }).sort()
}

function takePort(): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('no port'))
      else resolve({ server, port: address.port })
    })
  })
}
