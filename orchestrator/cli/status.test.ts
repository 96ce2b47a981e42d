import { expect, test } from 'vitest'
import { Condition, controlService, emptyStatus, type NodeReport } from '../wire/control.js'
import { listen } from '../wire/listener.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import { runCommand } from './program.js'

test('the table has a rule below its head and between shards, none between two nodes of one', async () => {
  const node = (name: string): NodeReport => ({
    ...{ name, condition: Condition.UP, reason: '', machine: 'm', zone: 'z', drained: false, slow: false },
    status: emptyStatus(),
  })
  const nodes = [1, 2, 3].map((index) => node(`shard-1/node-${index}`))
  const groups = [
    { shard: 0, partitions: 0, nodes: [node('meta/node-1')] },
    { shard: 1, partitions: 1024, nodes },
  ]
  const handlers = controlHandlers({ status: async () => ({ epoch: 4n, groups }) })
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(handlers)])
  let out = ''
  const add = (text: string) => {
    out += text
  }
  const context = { out: add, warn: () => {}, colours: false, columns: 0, version: '0' }
  expect(await runCommand(['status', '--address', listener.address], {}, context)).toBe(0)
  await listener.close()
  const table = out.split('\n').slice(1, 8)
  expect(table.map((line) => /^│ (\S+)/.exec(line)?.[1] ?? 'rule')).toEqual([
    ...['node', 'rule', 'shard-1/node-1', 'shard-1/node-2', 'shard-1/node-3', 'rule', 'meta/node-1'],
  ])
})
