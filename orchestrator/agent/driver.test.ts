import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DataDirectory } from '../control/data-directory.js'
import { agentDriver } from '../control/drivers/agent.js'
import type { Driver, NodeSpec } from '../control/drivers/driver.js'
import { OutOfReach } from '../control/faults.js'
import { driverContract } from '../control/testing/driver-contract.js'
import { FakeWorld } from '../control/testing/fake-world.js'
import { ScaledClock } from '../control/testing/scaled-clock.js'
import { silent } from '../telemetry/index.js'
import { agentService } from '../wire/agent.js'
import { listen } from '../wire/listener.js'
import { Agent } from './agent.js'
import { AgentRecord } from './record.js'
import { openAgent } from './run.js'

// The program that `npm test` builds before it runs this.
const PROGRAM = join(import.meta.dirname, '..', '..', 'dist', 'bin', 'kvnode')
const settings = { logLevel: 'info', valueBytesMax: 1 << 20 }

driverContract('the driver of agents', async (data) => {
  const common = { listen: '127.0.0.1:0', insecure: false, data, program: PROGRAM, version: '1', telemetry: silent }
  const agent = await openAgent({ ...common, name: 'm1', zone: 'z1' })
  const driver = agentDriver({ agents: [agent.address], settings, telemetry: silent })
  return { driver, close: () => agent.close() }
})

describe('while an agent is away', () => {
  const place = { shard: 1, index: 1 }
  const spec: NodeSpec = {
    ...place,
    name: 'n',
    clusterId: 'c1',
    machine: 'm1',
    directory: 'shard-1/node-1',
    ofNodes: 1,
  }
  let folder: string
  let world: FakeWorld
  let port: number
  let running: { close(): Promise<void> } | undefined
  let driver: Driver
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kvorum-agents-'))
    world = new FakeWorld()
    port = await startAgent(0)
    driver = agentDriver({ agents: [`127.0.0.1:${port}`], settings, telemetry: silent, clock: new ScaledClock(10) })
  })
  afterEach(async () => {
    await driver.close()
    await running?.close()
    rmSync(folder, { recursive: true })
  })

  async function startAgent(at: number, name = 'm1'): Promise<number> {
    const record = await AgentRecord.open(join(folder, 'agent'))
    const about = { name, zone: 'z1', version: '1', processors: 2 }
    const directory = new DataDirectory(folder)
    const local = () => world.driver(async () => {})
    const agent = new Agent({ about, directory, record, driver: local, telemetry: silent })
    const listener = await listen({ host: '127.0.0.1', port: at }, [agentService(agent)])
    running = {
      close: async () => {
        await listener.close()
        agent.close()
        await record.close()
      },
    }
    return listener.port
  }

  async function stopAgent(): Promise<void> {
    await running?.close()
    running = undefined
  }

  const address = '127.0.0.1:20000'

  test('its nodes are in doubt, and it says what has become of them when it is back', async () => {
    const process = await driver.spawn(spec, address, [])
    expect(process.doubt?.()).toBeUndefined()
    await stopAgent()
    await vi.waitFor(() => expect(process.doubt?.()).toContain(`machine m1 (127.0.0.1:${port}) does not answer`))
    await startAgent(port)
    await vi.waitFor(() => expect(process.doubt?.()).toBeUndefined())
    expect(world.running.size).toBe(1)
    await stopAgent()
    world.kill('shard-1/node-1')
    await startAgent(port)
    expect(await process.exited).toEqual({})
  })

  test('one that is looked for is in doubt too, and known when the agent is back', async () => {
    const { pid } = await driver.spawn(spec, address, [])
    await stopAgent()
    const found = await driver.find(spec, { address, pid })
    expect(found).toMatchObject({ pid, adopted: true })
    await vi.waitFor(() => expect(found?.doubt?.()).toContain('does not answer'))
    await startAgent(port)
    await vi.waitFor(() => expect(found?.doubt?.()).toBeUndefined())
    found?.signal('SIGKILL')
    expect(await found?.exited).toMatchObject({ signal: 'SIGKILL' })
  })

  test('a directory counts as there, and cannot be removed', async () => {
    const process = await driver.spawn(spec, address, [])
    const other = { ...spec, index: 2, directory: 'shard-1/node-2' }
    expect(await driver.holds(other)).toBe(false)
    await stopAgent()
    expect(await driver.holds(other)).toBe(true)
    await vi.waitFor(() => expect(process.doubt?.()).toBeDefined())
    expect(await driver.holds(other)).toBe(true)
    await expect(driver.remove(other)).rejects.toThrow(OutOfReach)
  })

  test('a signal waits for it; one that is to kill not for ever', async () => {
    const process = await driver.spawn(spec, address, [])
    await stopAgent()
    await vi.waitFor(() => expect(process.doubt?.()).toBeDefined())
    process.signal('SIGTERM')
    await startAgent(port)
    expect(await process.exited).toMatchObject({ code: 0 })
    const other = await driver.spawn(spec, address, [])
    await stopAgent()
    await vi.waitFor(() => expect(other.doubt?.()).toBeDefined())
    other.signal('SIGKILL')
    expect((await other.exited).left).toContain('does not answer')
    expect(world.running.size).toBe(1)
  })

  test('new nodes are not placed as if it were not to be', async () => {
    const agents = [`127.0.0.1:${port}`, '127.0.0.1:1']
    const two = agentDriver({ agents, settings, telemetry: silent, clock: new ScaledClock(10) })
    expect(await two.machines(1)).toEqual([{ name: 'm1', zone: 'z1' }])
    expect([two.zoneOf?.('m1'), two.zoneOf?.('m9')]).toEqual(['z1', undefined])
    const clock = new ScaledClock(10)
    const began = clock.monotonic()
    await expect(two.machines(3)).rejects.toThrow(
      /new nodes need 2 machines, and 1 of 2 agents answer: .* 127.0.0.1:1 \(/,
    )
    // It has been waited for once.
    expect(clock.monotonic() - began).toBeLessThan(5_000)
    await two.close()
  })

  test('orders carry the term, and one that has a successor is told so', async () => {
    const agents = [`127.0.0.1:${port}`]
    const fenced = agentDriver({ agents, settings, telemetry: silent, clock: new ScaledClock(10) })
    fenced.lead?.(3)
    await fenced.spawn(spec, address, [])
    fenced.lead?.(2)
    await expect(fenced.spawn(spec, address, [])).rejects.toThrow(/machine m1: .*term 3: .* term 2 has a successor/)
    await fenced.close()
  })
})
