// A shard is added through several orchestrators, while those that carry it out are killed and paused: another one finishes it,
// and clients that know all of them notice nothing.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as path } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControlClient, MoveState, type Operation, OperationState } from '../../orchestrator/wire/control.js'
import { Cluster } from '../harness/cluster.js'
import { firstOf, type GatewayProcess, join } from '../harness/gateways.js'
import { until, within } from '../harness/wait.js'
import { recorded } from './recorded.js'

const CALL = { deadlineMs: 5_000 }
const DONE_MS_MAX = 60_000

let cluster: Cluster
/** Those that can run the nodes. */
let able: GatewayProcess[]
/** It has its data elsewhere, and only routes. */
let router: GatewayProcess
let control: ControlClient
let elsewhere: string
beforeAll(async () => {
  elsewhere = mkdtempSync(path(tmpdir(), 'kvorum-elsewhere-'))
  cluster = await Cluster.start({ shards: 3, replicas: 3 })
  able = [firstOf(cluster), await join(cluster, [cluster.address]), await join(cluster, [cluster.address])]
  router = await join(cluster, [able[1]?.address ?? '', cluster.address], { data: elsewhere })
  control = new ControlClient(router.address)
})
afterAll(async () => {
  control?.close()
  for (const { program } of [...(able ?? []), ...(router === undefined ? [] : [router])]) {
    if (program.running) program.signal('SIGKILL')
  }
  await cluster?.dispose()
  rmSync(elsewhere, { recursive: true, force: true })
})

test('3 to 4 shards, while whoever carries it out is killed and the next one paused: a third one finishes it', {
  timeout: 180_000,
}, async () => {
  expect([...able, router].map(({ role }) => role)).toEqual(['holder', 'standby', 'standby', 'router'])
  const killedAndPaused = async (): Promise<readonly GatewayProcess[]> => {
    const { id } = await control.scale(4, { ...CALL, dryRun: false })
    const [first] = able as [GatewayProcess]
    await moved(id, 1)
    first.program.signal('SIGKILL')
    const second = await holderOtherThan(first)
    await moved(id, 1 + (await doneIn(id)))
    second.program.signal('SIGSTOP')
    const third = able.find((one) => one !== first && one !== second) as GatewayProcess
    // It has taken the lease, and waits for the lock, which the paused one keeps.
    await until('the third one to wait', () => third.program.stderr.includes('control.waits'), 30_000)
    second.program.signal('SIGCONT')
    expect(await holderOtherThan(second)).toBe(third)
    await until('the end', async () => (await find(id))?.state === OperationState.DONE, DONE_MS_MAX)
    expect(second.program.stderr).toContain('control.deposed')
    return [second, third]
  }
  const endpoints = [...able, router].map(({ address }) => address)
  const seed = Date.now() % 2 ** 31
  const result = await recorded(cluster, killedAndPaused, { seed, endpoints })
  able = [...result.value]
  console.log(`seed ${seed}, holders killed and paused:`, result.counts, 'longest gaps, ms:', result.gapMs)
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  // The compat client knows one gateway, and has the default deadline of 5 s there: less than a holder may be paused for.
  expect(result.failures.filter((failure) => !failure.includes(' by compat'))).toEqual([])
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested.
  expect(result.counts.acknowledged).toBeGreaterThan(200)
})

test('they end one by one: the last one that can run the nodes stops them, and each says what has become of them', async () => {
  const [standby, holder] = able as [GatewayProcess, GatewayProcess]
  const nodes = cluster.nodeProcesses()
  expect(nodes).toHaveLength(5 * 3)
  const end = async ({ program }: GatewayProcess): Promise<string> => {
    program.signal('SIGINT')
    expect(await within('its end', 20_000, program.ended)).toEqual({ code: 0, signal: null })
    return program.stderr.split('\n').at(-1) ?? ''
  }
  expect(await end(router)).toBe(`kvorum stopped; the nodes go on under the orchestrator at ${holder.address}`)
  expect(await end(holder)).toBe(`kvorum stopped; the nodes go on under the orchestrator at ${standby.address}`)
  expect(cluster.nodeProcesses()).toEqual(nodes)
  // Perhaps it is just about to take over: then it does, and stops them.
  expect(await end(standby)).toBe(`kvorum stopped; data is in ${cluster.data}`)
  expect(cluster.nodeProcesses()).toEqual([])
})

async function find(id: string): Promise<Operation | undefined> {
  return (await control.operations(CALL)).find((one) => one.id === id)
}

async function doneIn(id: string): Promise<number> {
  return (await find(id))?.moves.filter(({ state }) => state === MoveState.DONE).length ?? 0
}

async function moved(id: string, moves: number): Promise<void> {
  await until(`${moves} moves`, async () => (await doneIn(id)) >= moves, DONE_MS_MAX)
}

/** Who has the data directory's lock, as it writes down for people. */
async function holderOtherThan(before: GatewayProcess): Promise<GatewayProcess> {
  return until(
    'another holder',
    () => {
      const { pid } = JSON.parse(readFileSync(path(cluster.data, 'orchestrator.json'), 'utf8')) as { pid: number }
      return able.find((one) => one !== before && one.program.pid === pid)
    },
    30_000,
  )
}
