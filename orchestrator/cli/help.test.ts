import { expect, test } from 'vitest'
import { runCommand } from './program.js'

test.each([
  ...[
    'get',
    'put',
    'append',
    'delete',
    'txn',
    'scan',
    'count',
    'status',
    'fault',
    'scale',
    'node',
    'restart',
    'upgrade',
    'operations',
    'agent',
    'incr',
    'cas',
    'top',
    'bench',
    'import',
    'export',
    'completion',
    'shell',
  ],
])('%s --help has an example, and says what its exit codes mean', async (command) => {
  let out = ''
  const context = {
    out: (text: string) => {
      out += text
    },
    warn: () => {},
    colours: false,
    columns: 0,
    version: '0',
  }
  expect(await runCommand([command, '--help'], {}, context)).toBe(0)
  expect(out).toMatch(new RegExp(`\nExamples?:\n {2}kvorum ${command}\\b`))
  expect(out).toMatch(/\nExit codes:\n {2}0 .+\n(?: {2}1 .+\n)? {2}2 .+\n {2}3 .+\n/)
})
