// A loaded cluster is scaled up and down again while clients append, and while its orchestrator and the leaders of givers
// and receivers are killed at every stage of it. No request fails, no token is lost or there twice, nothing is left over.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { KvClient } from '../../orchestrator/client/index.js'
import { place } from '../../orchestrator/control/placement.js'
import {
  ControlClient,
  MoveState,
  type Operation,
  OperationState,
  type PlannedMove,
} from '../../orchestrator/wire/control.js'
import { type AppendClient, Appenders } from '../harness/appenders.js'
import { Cluster } from '../harness/cluster.js'
import { keysEverywhere } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { until } from '../harness/wait.js'

/** Rests between moves are time in which nobody is killed. */
const FLAGS = ['--linger-ms', '0', '--deadline-ms', '2000', '--move-rest-factor', '0']
const KEYS = 400
const CLIENTS = 2
const LOOPS = 8
const CALL = { deadlineMs: 5_000 }
const SCALE_MS_MAX = 180_000
const READ = { deadlineMs: 30_000 }

let cluster: Cluster
let control: ControlClient
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 3, replicas: 3, args: FLAGS })
  control = new ControlClient(cluster.address)
})
afterAll(async () => {
  control?.close()
  await cluster?.dispose()
})

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** What is under way when somebody is killed. */
type Moment = (operation: Operation) => boolean
type Kill = (running: PlannedMove | undefined) => Promise<void>

interface Blow {
  readonly when: string
  readonly moment: Moment
  readonly kill: Kill
}

const doing =
  (words: string): Moment =>
  ({ detail }) =>
    detail.includes(words)
const share =
  (part: number): Moment =>
  ({ moves }) =>
    moves.some(({ state }) => state === MoveState.RUNNING) &&
    moves.filter(({ state }) => state === MoveState.DONE).length >= part * moves.length

/** In the order in which they come. */
const BLOWS: readonly Blow[] = [
  { when: 'the new shards start', moment: doing('shard'), kill: killOrchestrator },
  { when: 'the first move', moment: share(0), kill: killOrchestrator },
  { when: 'a giver leads', moment: share(0.2), kill: (move) => killLeader(move?.fromShard) },
  { when: 'a receiver leads', moment: share(0.4), kill: (move) => killLeader(move?.toShard) },
  { when: 'the middle', moment: share(0.5), kill: killOrchestrator },
  { when: 'meta leads', moment: share(0.6), kill: killMeta },
  { when: 'the end', moment: share(0.9), kill: killOrchestrator },
]

test('3 to 5 to 3 shards, killing whoever takes part: no request fails, nothing is lost', {
  timeout: 600_000,
}, async () => {
  const keyOf = keysEverywhere(await cluster.map(), 'elastic')
  const keys = Array.from({ length: KEYS }, (_, at) => keyOf(at))
  const clients = await Promise.all(Array.from({ length: CLIENTS }, connect))
  const appenders = new Appenders(clients.map(appendClient), LOOPS, keys)
  try {
    await until('every key to have been appended to', () => appenders.tally.acknowledged > 2 * KEYS)
    for (const shards of [5, 3]) {
      const { id } = await control.scale(shards, { ...CALL, dryRun: false })
      const operation = await survive(id, BLOWS)
      expect(operation).toMatchObject({
        state: OperationState.DONE,
        what: `scale from ${8 - shards} to ${shards} shards`,
      })
      const map = await cluster.map()
      expect(map.owners).toEqual(place(Array.from({ length: shards }, (_, at) => at + 1)))
      report(shards, operation)
      const seen = appenders.tally.acknowledged
      await until('appends to go on', () => appenders.tally.acknowledged > seen + KEYS)
    }
  } finally {
    await appenders.stop()
  }
  await cluster.settled()
  const [reader] = clients
  const faults = await appenders.faults(async (key) => (await reader?.get(key, READ))?.text() ?? null)
  console.log(appenders.tally)
  expect(faults.slice(0, 10)).toEqual([])
  expect(appenders.failures.slice(0, 10)).toEqual([])
  expect(cluster.nodeProcesses()).toHaveLength(12)
  for (const gone of [4, 5]) expect(existsSync(join(cluster.data, `shard-${gone}`))).toBe(false)
})

/** Follows the operation to its end, and strikes at each moment, once. */
async function survive(id: string, blows: readonly Blow[]): Promise<Operation> {
  const left = [...blows]
  return until(
    `operation ${id} to end`,
    async () => {
      const [operation] = await control.operations(CALL)
      if (operation === undefined || operation.id !== id) throw new Error(`the newest operation is ${operation?.id}`)
      if (operation.state !== OperationState.RUNNING) return operation
      const [blow] = left
      if (blow?.moment(operation) !== true) return undefined
      left.shift()
      await blow.kill(operation.moves.find(({ state }) => state === MoveState.RUNNING))
      return undefined
    },
    SCALE_MS_MAX,
  )
}

async function killOrchestrator(): Promise<void> {
  cluster.orchestrator.signal('SIGKILL')
  await cluster.orchestrator.ended
  await cluster.restart()
}

async function killLeader(shard: number | undefined): Promise<void> {
  if (shard === undefined) return
  signal((await cluster.leaderOf(shard)).pid, 'SIGKILL')
}

async function killMeta(): Promise<void> {
  const meta = cluster.nodeProcesses().filter(({ command }) => command.includes('/meta/'))
  for (const { pid } of meta) signal(pid, 'SIGKILL')
}

function report(shards: number, { moves, begunAt, endedAt }: Operation): void {
  const pauses = moves.map(({ pauseUs }) => Number(pauseUs)).filter((us) => us > 0)
  const worst = Math.max(0, ...pauses) / 1_000
  const again = moves.filter(({ attempts }) => attempts > 1).length
  console.log(
    `to ${shards} shards in ${Number(endedAt - begunAt) / 1_000} s: ${moves.length} moves, ${again} of them more than ` +
      `once; the longest pause of writes was ${worst} ms`,
  )
}

/** Closed with the test. */
async function connect(): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: [cluster.address] })
  cleanups.push(() => client.close())
  return client
}

function appendClient(client: KvClient): AppendClient {
  return { append: async (key, value, options) => (await client.append(key, value, options)).length }
}
