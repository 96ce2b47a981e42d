import { expect, test } from 'vitest'
import { taskOf } from './fault-task.js'

const NODE = 'shard-1/node-2'

test.each([
  [['pause', NODE, {}], { fault: 'pause', node: NODE, forMs: 30_000 }],
  [['partition', NODE, { for: 5 }], { fault: 'partition', node: NODE, forMs: 5_000, direction: 'both' }],
  [['partition', NODE, { direction: 'in' }], { fault: 'partition', node: NODE, forMs: 30_000, direction: 'in' }],
  [['delay', NODE, { jitter: 7 }], { fault: 'delay', node: NODE, forMs: 30_000, delayMs: 100, jitterMs: 7 }],
  [['kill', NODE, {}], { fault: 'kill', node: NODE }],
  [['heal', NODE, {}], { fault: 'heal', node: NODE }],
  [['heal', undefined, { all: true }], { fault: 'heal', node: undefined }],
] as const)('%j', ([what, node, flags], task) => {
  expect(taskOf(what, node, flags)).toEqual(task)
})

test.each([
  [['burn', NODE, {}], /no fault is called burn; there are pause/],
  [['kill', NODE, { for: 5 }], /fault kill takes no --for, which is for pause, partition, delay/],
  [['pause', NODE, { ms: 5 }], /fault pause takes no --ms, which is for delay/],
  [['pause', NODE, { all: true }], /takes no --all/],
  [['pause', undefined, {}], /which node\?/],
  [['partition', NODE, { direction: 'up' }], /--direction is one of in, out, both, not up/],
  [['heal', undefined, {}], /name of a node, or --all/],
  [['heal', NODE, { all: true }], /name of a node, or --all/],
] as const)('%j is refused', ([what, node, flags], words) => {
  expect(() => taskOf(what, node, flags)).toThrow(words)
})
