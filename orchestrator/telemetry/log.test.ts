import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { type LogOptions, logTelemetry } from './log.js'

function log(options: Partial<LogOptions>) {
  const to = new PassThrough()
  const telemetry = logTelemetry({ level: 'info', requests: false, format: 'text', colours: false, ...options, to })
  return { telemetry, written: (): string => String(to.read() ?? '') }
}

const led = { shard: 'shard-1', leader: 'shard-1/node-2', term: 3n }

test('a person gets one line per event', () => {
  const { telemetry, written } = log({})
  telemetry.emit('shard.led', led)
  expect(written()).toBe('kvorum: shard-1 is led by shard-1/node-2 (term 3)\n')
})

test('a program gets JSON, with the words and the data', () => {
  const { telemetry, written } = log({ format: 'json' })
  telemetry.emit('shard.led', led)
  telemetry.emit('fault', { where: 'a test', error: new Error('broken') })
  const [first, second] = written()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(first).toMatchObject({ level: 'info', event: 'shard.led', leader: 'shard-1/node-2', term: 3 })
  expect(first.msg).toBe('shard-1 is led by shard-1/node-2 (term 3)')
  expect(second).toMatchObject({ level: 'error', error: { message: 'broken' } })
})

test('what is less severe than the level is dropped', () => {
  const { telemetry, written } = log({ level: 'warn' })
  telemetry.emit('shard.led', led)
  expect(telemetry.enabled('shard.led')).toBe(false)
  expect(written()).toBe('')
  telemetry.emit('shard.leaderless', { shard: 'shard-1' })
  expect(written()).toBe('kvorum: shard-1 has no leader that answers\n')
})

test.each(['text', 'json'] as const)('requests have their own switch, at any level (%s)', (format) => {
  const request = { operation: 'put', key: 'k1', outcome: 'ok', ms: 0.4 }
  const off = log({ format })
  off.telemetry.emit('request', request)
  expect(off.written()).toBe('')
  const on = log({ format, requests: true, level: 'error' })
  on.telemetry.emit('request', request)
  on.telemetry.emit('shard.led', led)
  expect(on.written()).toMatch(/^.*put k1: ok \(0\.40 ms\).*\n$/)
})
