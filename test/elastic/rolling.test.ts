// Nodes are restarted, and their program replaced, under clients of every kind; everything that any of them was told is checked.
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KvClient } from '../../orchestrator/client/index.js'
import { ControlClient, type Operation, OperationState, Steer, StepState } from '../../orchestrator/wire/control.js'
import { type AppendClient, Appenders } from '../harness/appenders.js'
import { Cluster } from '../harness/cluster.js'
import { keysEverywhere } from '../harness/keys.js'
import { nodeProgram } from '../harness/node-program.js'
import { ROOT } from '../harness/root.js'
import { until } from '../harness/wait.js'
import { recorded } from './recorded.js'

const CALL = { deadlineMs: 30_000 }
const ROLL_MS_MAX = 180_000
const SHARDS = 3
const REPLICAS = 3
const NODES = (SHARDS + 1) * REPLICAS
/** What makes a node one of the version before. */
const BEFORE = ['--format-max', '1']
const KVNODE = join(ROOT, 'dist/bin/kvnode')

let cluster: Cluster
let control: ControlClient
beforeAll(async () => {
  cluster = await Cluster.start({ shards: SHARDS, replicas: REPLICAS, nodeFlags: BEFORE })
  control = new ControlClient(cluster.address)
})
afterAll(async () => {
  control?.close()
  await cluster?.dispose()
})

test('every node is restarted: no request fails, every key is linearizable, every append is there once', {
  timeout: 300_000,
}, async () => {
  const before = pids()
  const restart = async (): Promise<Operation> => ended((await control.restart('', CALL)).id)
  await expectUnharmed('restart', restart)
  const after = pids()
  expect(after).toHaveLength(NODES)
  expect(after.filter((pid) => before.includes(pid))).toEqual([])
})

test('an upgrade from the version before: the same with both beside each other, and a later start uses the copy', {
  timeout: 300_000,
}, async () => {
  const given = join(cluster.data, 'given', 'kvnode')
  mkdirSync(dirname(given))
  copyFileSync(KVNODE, given)
  const upgrade = async (): Promise<Operation> => {
    const { id } = await control.upgrade(given, CALL)
    // From here on it is the copy that counts.
    rmSync(given)
    return ended(id)
  }
  expect(await formats()).toEqual([[1, 1]])
  await expectUnharmed('upgrade', upgrade)
  expect(copies()).toHaveLength(NODES)
  expect(await formats()).toEqual([[3, 3]])
  await cluster.stop()
  await cluster.orchestrator.ended
  await cluster.restart()
  expect(copies()).toHaveLength(NODES)
  await cluster.settled()
})

test('a program that cannot serve is left by the first node that tried it, and nobody notices', {
  timeout: 300_000,
}, async () => {
  const before = pids()
  const bad = join(cluster.data, 'given', 'bad')
  const says = 'echo 9.9.9 && echo command formats 1-9 && exit'
  writeFileSync(bad, `#!/bin/sh\n[ "$1" = --version ] && ${says}\necho kvnode: not today >&2\nexit 64\n`)
  chmodSync(bad, 0o755)
  const paused = async (): Promise<Operation> => {
    const { id } = await control.upgrade(bad, CALL)
    const isPaused = async () => (await newest(id)).state === OperationState.PAUSED && newest(id)
    const operation = await until('the upgrade to pause', isPaused, ROLL_MS_MAX)
    expect(operation.detail).toMatch(/did not come up with 9\.9\.9-\w+: exit code 64.*not today.*runs with \S+ again/)
    await control.steer(id, Steer.CANCEL, CALL)
    return ended(id, 'cancelled')
  }
  const old = nodeProgram(dirname(bad), BEFORE)
  await expect(control.upgrade(old, CALL)).rejects.toThrow('knows command formats up to 1, and 3 is in use')
  await expectUnharmed('upgrade to a broken program', paused)
  expect(pids().filter((pid) => before.includes(pid))).toHaveLength(NODES - 1)
  expect(copies()).toHaveLength(NODES)
})

test('an orchestrator that is killed in the middle goes on where it was; no append fails, each is there once', {
  timeout: 300_000,
}, async () => {
  const before = pids()
  const keyOf = keysEverywhere(await cluster.map(), 'rolling')
  const keys = Array.from({ length: 100 }, (_, at) => keyOf(at))
  const client = await KvClient.connect({ endpoints: [cluster.address] })
  const append: AppendClient['append'] = async (key, value, options) =>
    (await client.append(key, value, options)).length
  const appenders = new Appenders([{ append }], 8, keys)
  try {
    const { id } = await control.restart('', CALL)
    for (const done of [2, 7]) {
      await until(`${done} nodes to be done`, async () => doneIn(await newest(id)) >= done, ROLL_MS_MAX)
      cluster.orchestrator.signal('SIGKILL')
      await cluster.orchestrator.ended
      await cluster.restart()
    }
    await ended(id)
  } finally {
    await appenders.stop()
  }
  console.log('restart, the orchestrator killed twice:', appenders.tally)
  expect(pids().filter((pid) => before.includes(pid))).toEqual([])
  const faults = await appenders.faults(async (key) => (await client.get(key, CALL))?.text() ?? null)
  await client.close()
  expect(faults.slice(0, 10)).toEqual([])
  expect(appenders.failures.slice(0, 10)).toEqual([])
})

async function expectUnharmed(what: string, operation: () => Promise<Operation>): Promise<void> {
  const seed = Date.now() % 2 ** 31
  const firstFormat = (await formats()).some(([used]) => used === 1)
  const result = await recorded(cluster, operation, { seed, firstFormat })
  const { begunAt, endedAt } = result.value
  console.log(
    `seed ${seed}, ${what}:`,
    result.counts,
    `${Number(endedAt - begunAt) / 1_000} s, longest gaps, ms:`,
    result.gapMs,
  )
  expect(result.violations, `all of it is in ${result.folder}`).toEqual([])
  expect(result.failures).toEqual([])
  expect(result.counts.undecided).toBe(0)
  // Else nothing was tested.
  expect(result.counts.acknowledged).toBeGreaterThan(100)
  await cluster.settled()
}

async function ended(id: string, how: 'done' | 'cancelled' = 'done'): Promise<Operation> {
  const goal = how === 'done' ? OperationState.DONE : OperationState.CANCELLED
  return until(
    `operation ${id} to end`,
    async () => {
      const operation = await newest(id)
      return operation.state === goal && operation
    },
    ROLL_MS_MAX,
  )
}

async function newest(id: string): Promise<Operation> {
  const operation = (await control.operations(CALL)).find((one) => one.id === id)
  if (operation === undefined) throw new Error(`no operation ${id}`)
  return operation
}

function doneIn({ steps }: Operation): number {
  return steps.filter(({ state }) => state === StepState.DONE).length
}

function pids(): number[] {
  // The orchestrator's command line names a node program as well.
  const nodes = cluster.nodeProcesses().filter(({ command }) => /^\S*kvnode --data /.test(command))
  return nodes.map(({ pid }) => pid)
}

/** The format that nodes use, and the newest one that they know: each pair once. */
async function formats(): Promise<number[][]> {
  const { groups } = await control.status(CALL)
  const pairs = groups.flatMap(({ nodes }) => nodes.map(({ status }) => [status?.format ?? 0, status?.formatMax ?? 0]))
  return [...new Set(pairs.map(String))].map((pair) => pair.split(',').map(Number))
}

/** The nodes that run the copy in the data directory, by the command lines of their processes. */
function copies(): string[] {
  const names = cluster.nodeProcesses().map(({ command }) => command)
  return names.filter((name) => name.startsWith(join(cluster.data, 'bin')))
}
