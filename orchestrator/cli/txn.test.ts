import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeNode } from '../wire/testing/fake-node.js'
import { runCommand } from './program.js'

let gateway: FakeNode
let directory: string
let out: string
let told: string

beforeEach(async () => {
  gateway = await FakeNode.start()
  directory = mkdtempSync(join(tmpdir(), 'kvorum-txn-'))
})
afterEach(async () => {
  await gateway.close()
  rmSync(directory, { recursive: true })
})

/** `kvorum txn` on a file with this in it. */
async function run(transaction: unknown, ...flags: string[]): Promise<number> {
  const file = join(directory, 'transaction.json')
  writeFileSync(file, typeof transaction === 'string' ? transaction : JSON.stringify(transaction))
  out = ''
  told = ''
  return runCommand(
    ['txn', file, ...flags],
    { KVORUM_ADDRESS: gateway.address },
    {
      out: (text) => {
        out += text
      },
      warn: (text) => {
        told += text
      },
      colours: false,
      columns: 0,
      version: '0',
    },
  )
}

const TRANSFER = {
  if: [
    { key: '{u}a', comparison: '>', version: 0 },
    { key: { base64: 'e3V9Yg==' }, comparison: '==', exists: false },
  ],
  then: [
    { op: 'increment', key: '{u}a', by: -3 },
    { op: 'append', key: '{u}log', value: 'moved' },
    { op: 'get', key: '{u}log' },
    { op: 'delete', key: '{u}none' },
  ],
  else: [
    { op: 'put', key: '{u}a', value: '10', if_version: '0' },
    { op: 'get', key: '{u}log' },
  ],
}

test('for people', async () => {
  expect([await run(TRANSFER), told]).toEqual([0, ''])
  expect(out).toBe('else (a condition does not hold)\n  put {u}a    version 1\n  get {u}log  (no value)\n')
  expect(await run(TRANSFER)).toBe(0)
  expect(out.split('\n').slice(0, 5)).toEqual([
    'then (every condition holds)',
    '  increment {u}a  7',
    '  append {u}log   5 bytes (version 1)',
    '  get {u}log      moved (version 1)',
    '  delete {u}none  (no value)',
  ])
})

test('for programs', async () => {
  await run(TRANSFER)
  expect(await run(TRANSFER, '--json')).toBe(0)
  const results = [
    { value: '7' },
    { version: '1', length: 5 },
    { found: true, value: 'moved', version: '1' },
    { existed: false },
  ]
  expect(JSON.parse(out)).toEqual({ ok: true, succeeded: true, results })
})

test.each([
  ['{', 'no JSON'],
  [[], 'must be an object'],
  [{ unless: [] }, 'no "unless"'],
  [{ then: {} }, 'then must be a list'],
  [
    {
      then: [
        { op: 'put', key: 'k', value: 'v' },
        { op: 'swap', key: 'k' },
      ],
    },
    'then[1]: op is',
  ],
  [{ else: [{ op: 'put', key: 'k', value: 'v', ttl: 1 }] }, 'else[0]: an operation has no "ttl"'],
  [{ then: [{ op: 'increment', key: 'k', by: 1.5 }] }, 'by must be a whole number'],
  [{ then: [{ op: 'get', key: 7 }] }, 'keys and values are texts'],
  [{ if: [{ key: 'k', comparison: '<', value: 'v' }] }, 'if[0]: a condition on a value'],
  [{ if: [{ key: 'k', comparison: '==' }] }, 'one of version, value and exists'],
  [
    {
      then: [
        { op: 'get', key: 'a' },
        { op: 'get', key: 'b' },
      ],
    },
    'hash tag',
  ],
  [{}, 'neither a condition nor an operation'],
])('no transaction: %j', async (transaction, words) => {
  expect(await run(transaction)).toBe(2)
  expect(told).toContain(words)
  expect(out).toBe('')
})

test('a file that is not there', async () => {
  let said = ''
  const context = { out: () => {}, colours: false, columns: 0, version: '0' }
  const warn = (text: string) => {
    said += text
  }
  const path = join(directory, 'none.json')
  expect(await runCommand(['txn', path], { KVORUM_ADDRESS: gateway.address }, { ...context, warn })).toBe(2)
  expect(said).toContain('cannot be read')
})
