import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StartFault } from '../faults.js'
import { driverContract } from '../testing/driver-contract.js'
import { localDriver, processorsFor } from './local.js'
import { lastWords, openNodeLog } from './node-log.js'

// The program that `npm test` builds before it runs this.
const PROGRAM = join(import.meta.dirname, '..', '..', '..', 'dist', 'bin', 'kvnode')

driverContract('the local driver', async () => ({
  driver: localDriver({ program: PROGRAM, flags: [] }),
  close: async () => {},
}))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-local-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test.each(['absent', 'not-executable'])('a node program that is %s is told before anything is started', (name) => {
  writeFileSync(join(folder, 'not-executable'), '', { mode: 0o644 })
  const driver = localDriver({ program: join(folder, name), flags: [] })
  expect(() => driver.check()).toThrow(StartFault)
})

test.each([
  [12, 2, 1],
  [6, 2, 1],
  [2, 2, 2],
  [1, 8, 8],
  [12, 8, 2],
  [12, 64, 11],
])('each of %i nodes on %i processors uses %i', (nodes, available, uses) => {
  expect(processorsFor(nodes, available)).toBe(uses)
})

describe('the node log', () => {
  test('is set aside when it has become long, and only then', () => {
    closeSync(openNodeLog(folder))
    appendFileSync(join(folder, 'node.log'), 'first\n')
    closeSync(openNodeLog(folder))
    expect(readFileSync(join(folder, 'node.log'), 'utf8')).toBe('first\n')
    truncateSync(join(folder, 'node.log'), (8 << 20) + 1)
    closeSync(openNodeLog(folder))
    expect(statSync(join(folder, 'node.log')).size).toBe(0)
    expect(existsSync(join(folder, 'node.log.1'))).toBe(true)
  })

  test.each([
    ['', undefined],
    ['{"msg":"opening"}\nkvnode: listen on 127.0.0.1:1: in use\n', 'listen on 127.0.0.1:1: in use'],
    ['kvnode: the disk is full\nkvnode ready id=a shard=1\n', undefined],
    ['kvnode: the disk is full\nkvnode ready id=a\n{"msg":"stopping"}\n', undefined],
    [`panic: broken\n\ngoroutine 1 [running]:\n${'main.go\n'.repeat(999)}`, 'panic: broken'],
    [`${'x'.repeat(90_000)}\nexec format error`, 'exec format error'],
  ])('its last words (%#)', (content, words) => {
    writeFileSync(join(folder, 'node.log'), content)
    expect(lastWords(folder)).toBe(words)
  })

  test('its own last words stand, whatever another node in the directory says before or after', () => {
    const before = 'kvnode: of an earlier start\n'
    writeFileSync(join(folder, 'node.log'), `${before}kvnode: in use by pid 7\n{"msg":"the other one"}\n`)
    expect(lastWords(folder, before.length)).toBe('in use by pid 7')
    writeFileSync(join(folder, 'node.log'), `${before}{"msg":"opening"}\n`)
    expect(lastWords(folder, before.length)).toBeUndefined()
  })

  test('no log, no words', () => {
    expect(lastWords(join(folder, 'absent'))).toBeUndefined()
  })
})
