import { describe, expect, test } from 'vitest'
import { MapCell } from '../core/map-source.js'
import { seededRng } from '../core/rng.js'
import { limitsWith } from '../core/testing/limits.js'
import { ManualClock } from '../core/testing/manual-clock.js'
import { FakeConnection, turn } from '../wire/testing/fake-connection.js'
import { Store } from './store.js'
import { GET, oneShard, SimCluster } from './testing/sim-cluster.js'

const READS = 64
/** So that these many reads are less than an eighth of a full message. */
const LIMITS = { batchBytesMax: 64 << 20 }

/** How many reads each message has that a Store sends to the only node of its map. */
async function messagesToNode(relayed: boolean): Promise<number[]> {
  const connections: FakeConnection[] = []
  const store = new Store({
    map: new MapCell(oneShard(1)),
    clock: new ManualClock(),
    rng: seededRng(1),
    limits: limitsWith(LIMITS),
    relayed,
    connect: (address, handlers) => {
      const connection = new FakeConnection(address, handlers)
      connections.push(connection)
      return connection
    },
  })
  for (let read = 0; read < READS; read++) store.submit(GET, 1000, () => {})
  connections[0]?.open()
  await turn()
  store.close()
  return connections[0]?.written.map(({ operations }) => operations.length) ?? []
}

describe('a message costs more where a gateway takes part, so that more reads share it:', () => {
  test('from a gateway to a node', async () => {
    expect(await messagesToNode(true)).toEqual([READS])
    expect(await messagesToNode(false)).toEqual([READS / 2, READS / 2])
  })

  test('from a client to a gateway', async () => {
    const sim = new SimCluster(oneShard(1), LIMITS, ['g1'])
    sim.node('n1').reachable = false
    await sim.run(sim.execute(GET))
    const reads = Array.from({ length: READS }, () => sim.execute(GET))
    await turn()
    const [connection] = sim.node('g1').connections
    expect(connection?.written.map(({ operations }) => operations.length)).toEqual([READS])
    for (const read of reads) await sim.run(read)
    sim.store.close()
  })
})
