// Far more than a node and a gateway can take: raw streams that send messages of puts without waiting for answers, while a
// client of ours goes on. Every key is written once, so that what was acknowledged and what was refused can be told apart.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { closedLoop } from '../../bench/load/closed-loop.js'
import { rssMib } from '../../bench/load/resources.js'
import { slowReaders } from '../../bench/overload/slow-readers.js'
import { KvClient } from '../../orchestrator/client/index.js'
import { CODES, OUTCOMES } from '../../orchestrator/errors/index.js'
import { operationToWire } from '../../orchestrator/wire/convert.js'
import { BatchRequest, BatchResponse, type Result } from '../../orchestrator/wire/gen/kvorum/v1/kv.js'
import { Cluster } from '../harness/cluster.js'
import { FloodStream } from '../harness/flood.js'
import { until } from '../harness/wait.js'

const IN_FLIGHT_BYTES = 16 << 20
/** Of a node: the budget of 16 MiB, the queue before Raft, windows, the collector's share, the idle 20. */
const NODE_MIB_MAX = 220
/** Node.js lets more garbage gather, and an idle gateway has 70. */
const GATEWAY_MIB_MAX = 400
const STREAMS = 24
const OPERATIONS = 500
/** Of a stream: 24 x 40 x 500 puts are 480,000, some 300 MiB where there is room for 16. */
const MESSAGES = 40
const TIMEOUT_MS = 60_000
const VALUE = Buffer.alloc(64, 'v')
const SAMPLE = 300

let cluster: Cluster
beforeAll(async () => {
  const nodeFlags = ['--inflight-max-bytes', `${IN_FLIGHT_BYTES}`]
  const args = ['--in-flight-bytes-max', `${IN_FLIGHT_BYTES}`]
  cluster = await Cluster.start({ shards: 1, replicas: 3, nodeFlags, args })
})
afterAll(() => cluster?.dispose())

type Fate = 'acknowledged' | 'refused'

/** Sends all its messages as fast as the transport takes them, and notes what became of every key. */
class Flooder {
  readonly fates = new Map<string, Fate>()
  /** What is neither an acknowledgement nor an honest OVERLOADED, in words. */
  readonly faults: string[] = []
  answered = 0
  readonly #stream: FloodStream
  #sent = 0

  constructor(
    address: string,
    private readonly prefix: string,
  ) {
    const answered = (bytes: Uint8Array): void => this.#answered(bytes)
    this.#stream = new FloodStream({ address, next: () => this.#next(), answered })
    this.#stream.push()
  }

  get done(): boolean {
    if (this.#stream.failure !== undefined) throw new Error(this.#stream.failure)
    return this.answered === MESSAGES
  }

  close(): void {
    this.#stream.close()
  }

  #next(): Uint8Array | undefined {
    if (this.#sent === MESSAGES) return undefined
    const id = BigInt(this.#sent++)
    const operations = Array.from({ length: OPERATIONS }, (_, at) =>
      operationToWire({ kind: 'put', key: Buffer.from(this.#key(id, at)), value: VALUE }),
    )
    return BatchRequest.encode({ id, epoch: 0n, timeoutMs: TIMEOUT_MS, operations, sessions: [] }).finish()
  }

  #key(id: bigint, at: number): string {
    return `${this.prefix}-${id}-${at}`
  }

  /** A node answers whole; a gateway may answer in parts. */
  #answered(bytes: Uint8Array): void {
    const { id, results, positions } = BatchResponse.decode(bytes)
    for (const [at, result] of results.entries()) {
      const key = this.#key(id, positions[at] ?? at)
      const fate = fateOf(result)
      if (fate === undefined || this.fates.has(key)) this.faults.push(`${key}: ${JSON.stringify(result.kind, text)}`)
      else this.fates.set(key, fate)
    }
    this.answered = Math.floor(this.fates.size / OPERATIONS)
  }
}

function fateOf({ kind }: Result): Fate | undefined {
  if (kind?.$case === 'put') return 'acknowledged'
  if (kind?.$case !== 'error') return undefined
  const { code, outcome, retryAfterMs } = kind.value
  const honest = code === CODES.OVERLOADED.number && outcome === OUTCOMES['not-applied'] && retryAfterMs > 0
  return honest ? 'refused' : undefined
}

function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

async function flood(address: string, prefix: string): Promise<void> {
  const nodes = nodePids()
  const gateway = cluster.orchestrator.pid
  const client = await KvClient.connect({ endpoints: [cluster.address] })
  const { term } = await cluster.leaderOf(1)
  const flooders = Array.from({ length: STREAMS }, (_, at) => new Flooder(address, `${prefix}${at}`))
  const most = { node: 0, gateway: 0 }
  const allAnswered = (): boolean => {
    most.node = Math.max(most.node, ...nodes.map(rssMib))
    most.gateway = Math.max(most.gateway, rssMib(gateway))
    return flooders.every(({ done }) => done)
  }
  try {
    // A client of ours gets through while it lasts, because it tries again.
    await client.put(`${prefix}-during`, 'v', { deadlineMs: 30_000 })
    await until('every message to be answered', allAnswered, 60_000)
    expect(flooders.flatMap(({ faults }) => faults)).toEqual([])
    const fates = flooders.flatMap((one) => [...one.fates])
    const acknowledged = fates.filter(([, fate]) => fate === 'acknowledged').map(([key]) => key)
    const refused = fates.filter(([, fate]) => fate === 'refused').map(([key]) => key)
    console.log(`${prefix}: ${acknowledged.length} acknowledged, ${refused.length} refused, MiB:`, most)
    expect(refused.length).toBeGreaterThan(0)
    expect(acknowledged.length).toBeGreaterThan(0)
    expect(await present(client, acknowledged)).toEqual([true])
    expect(await present(client, refused)).toEqual([false])
    expect(most.node).toBeLessThan(NODE_MIB_MAX)
    expect(most.gateway).toBeLessThan(GATEWAY_MIB_MAX)
    await client.put(`${prefix}-after`, 'v')
    expect((await client.get(`${prefix}-during`))?.text()).toBe('v')
    // Nobody was killed, and nobody lost its leadership.
    expect(nodePids()).toEqual(nodes)
    expect(cluster.orchestrator.running).toBe(true)
    expect((await cluster.leaderOf(1)).term).toBe(term)
  } finally {
    for (const flooder of flooders) flooder.close()
    await client.close()
  }
}

/** The orchestrator names the node program, too. */
function nodePids(): number[] {
  const pids = cluster.nodeProcesses().map(({ pid }) => pid)
  return pids.filter((pid) => pid !== cluster.orchestrator.pid)
}

/** Whether keys are there: of a sample, the different answers. */
async function present(client: KvClient, keys: readonly string[]): Promise<boolean[]> {
  const step = Math.max(1, Math.floor(keys.length / SAMPLE))
  const sample = keys.filter((_, at) => at % step === 0)
  const found = await Promise.all(sample.map((key) => client.get(key)))
  return [...new Set(found.map((one) => one !== null))]
}

test('a node takes what it can, refuses the rest, and stays well', async () => {
  await flood((await cluster.leaderOf(1)).address, 'node')
})

test('a gateway does the same', () => flood(cluster.address, 'gateway'))

test('50 streams of a gateway that ask for MiBs and read nothing do not hold up the others', async () => {
  const client = await KvClient.connect({ endpoints: [cluster.address], mode: 'gateway' })
  const readers = await slowReaders(cluster, cluster.address, 50)
  let most = 0
  try {
    const { latency } = await closedLoop(4, 4, async (caller, turn) => {
      await client.put(`beside-${caller}-${turn % 100}`, 'v')
      most = Math.max(most, rssMib(cluster.orchestrator.pid))
    })
    // Without a bound on what is asked for them, the values of the first moment alone take longer than that.
    expect(latency.maxMs).toBeLessThan(3000)
    expect(latency.count).toBeGreaterThan(200)
    expect(most).toBeLessThan(GATEWAY_MIB_MAX)
  } finally {
    readers.close()
    await client.close()
  }
})
