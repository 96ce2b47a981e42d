// Clients with several endpoints, while the gateway that they speak to dies, hangs, or says that it ends.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KvClient, RequestWrapper } from '../../orchestrator/client/index.js'
import { type AppendClient, Appenders } from '../harness/appenders.js'
import { Cluster } from '../harness/cluster.js'
import { firstOf, type GatewayProcess, join, rejoin } from '../harness/gateways.js'
import { until } from '../harness/wait.js'

const LOOPS = 4
const ENOUGH = 100
/** The default deadline. A call that was sent a moment before the gateway went has so long. */
const DEADLINE_MS = 5_000

let cluster: Cluster
let gateways: [GatewayProcess, GatewayProcess]
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2, replicas: 3 })
  gateways = [firstOf(cluster), await join(cluster, [cluster.address])]
})
afterAll(() => cluster?.dispose())

/** Appends by one client, and how long the longest of them took. */
interface Told extends AppendClient {
  readonly name: string
  acknowledged: number
  longestMs: number
  close(): Promise<void>
}

async function clientsOf(endpoints: readonly string[]): Promise<Told[]> {
  const wrapper = new RequestWrapper(endpoints)
  const told = [
    watched(
      'wrapper',
      (key, value, options) => wrapper.append(key, value, options),
      async () => wrapper.close(),
    ),
  ]
  for (const mode of ['direct', 'auto', 'gateway'] as const) {
    const kv = await KvClient.connect({ endpoints, mode })
    const append: AppendClient['append'] = async (key, value, options) => (await kv.append(key, value, options)).length
    told.push(watched(mode, append, () => kv.close()))
  }
  return told
}

function watched(name: string, append: AppendClient['append'], close: Told['close']): Told {
  const told: Told = {
    name,
    acknowledged: 0,
    longestMs: 0,
    close,
    append: async (...given) => {
      const begin = performance.now()
      const length = await append(...given)
      told.longestMs = Math.max(told.longestMs, performance.now() - begin)
      told.acknowledged++
      return length
    },
  }
  return told
}

async function served(clients: readonly Told[]): Promise<void> {
  const enough = clients.map(({ acknowledged }) => acknowledged + ENOUGH)
  await until(
    'every client to be served',
    () => clients.every((one, at) => one.acknowledged >= (enough[at] ?? 0)),
    60_000,
  )
}

test.each(['SIGKILL', 'SIGINT', 'SIGSTOP'] as const)(
  'a gateway that gets %s is left for the other one, in every mode, and every append is there once',
  async (how) => {
    const [first, second] = gateways
    const clients = await clientsOf(gateways.map(({ address }) => address))
    const keys = Array.from({ length: 40 }, (_, at) => `${how}-${at}`)
    const appenders = new Appenders(clients, LOOPS, keys)
    try {
      await served(clients)
      for (const one of clients) one.longestMs = 0
      first.program.signal(how)
      await served(clients)
      console.log(how, ...clients.map(({ name, longestMs }) => `${name} ${longestMs.toFixed(0)} ms;`))
      // Twice that on a machine that is busy.
      for (const { name, longestMs } of clients) expect(longestMs, name).toBeLessThan(2 * DEADLINE_MS)
      if (how === 'SIGSTOP') first.program.signal('SIGCONT')
      else {
        expect((await first.program.ended).signal).toBe(how === 'SIGKILL' ? 'SIGKILL' : null)
        gateways = [await rejoin(cluster, first, [second.address]), second]
      }
      await served(clients)
    } finally {
      await appenders.stop()
    }
    expect(appenders.failures).toEqual([])
    const reader = new RequestWrapper(gateways.map(({ address }) => address))
    try {
      expect(await appenders.faults((key) => reader.get(key))).toEqual([])
    } finally {
      reader.close()
      await Promise.all(clients.map((one) => one.close()))
    }
  },
)
