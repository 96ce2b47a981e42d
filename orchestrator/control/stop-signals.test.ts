import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { ManualClock } from '../core/testing/manual-clock.js'
import { silent } from '../telemetry/index.js'
import { stopOnSignals } from './stop-signals.js'

function make() {
  const source = new EventEmitter()
  const clock = new ManualClock()
  return { source, clock, stop: stopOnSignals(source, clock, silent) }
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('%s asks to stop', (signal) => {
  const { source, stop } = make()
  expect(stop.asked.aborted).toBe(false)
  source.emit(signal, signal)
  expect([stop.asked.aborted, stop.forced.aborted]).toEqual([true, false])
})

test('a signal that arrives twice, as under npm, is one wish', () => {
  const { source, clock, stop } = make()
  source.emit('SIGINT', 'SIGINT')
  clock.advance(1_000)
  source.emit('SIGINT', 'SIGINT')
  expect(stop.forced.aborted).toBe(false)
})

test('a signal after that means now', () => {
  const { source, clock, stop } = make()
  source.emit('SIGINT', 'SIGINT')
  clock.advance(1_001)
  source.emit('SIGTERM', 'SIGTERM')
  source.emit('SIGTERM', 'SIGTERM')
  expect(stop.forced.aborted).toBe(true)
})
