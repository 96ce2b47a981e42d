import { expect, test } from 'vitest'
import type { Telemetry } from '../telemetry/index.js'
import type { Driver } from './drivers/driver.js'
import { tellAbsentMachines } from './machine-news.js'
import type { Registry } from './registry.js'

async function told(zoneOf: Driver['zoneOf']): Promise<unknown[]> {
  const events: unknown[] = []
  const telemetry: Telemetry = { emit: (name, event) => void events.push([name, event]), enabled: () => true }
  const nodes = [
    { shard: 0, index: 1, address: 'a:1', machine: 'm1' },
    { shard: 0, index: 2, address: 'b:1', machine: 'm2' },
    { shard: 1, index: 2, address: 'b:2', machine: 'm2' },
  ]
  const registry = { nodes: async () => nodes } as unknown as Registry
  await tellAbsentMachines({ registry, telemetry, driver: { zoneOf } as Driver })
  return events
}

test('a machine that no agent of --agents is, and has nodes, is named with them', async () => {
  expect(await told((machine) => (machine === 'm1' ? 'z1' : undefined))).toEqual([
    ['machines.absent', { machines: ['m2'], nodes: ['meta/node-2', 'shard-1/node-2'] }],
  ])
})

test('nothing is said when all are there, or where there are no agents', async () => {
  expect(await told(() => 'z')).toEqual([])
  expect(await told(undefined)).toEqual([])
})
