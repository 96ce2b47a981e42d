import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { onAbort } from './abort.js'

test('everybody is told once, by one listener', () => {
  const abort = new AbortController()
  const told: number[] = []
  for (let at = 0; at < 100; at++) onAbort(abort.signal, () => told.push(at))
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1)
  abort.abort()
  expect(told).toHaveLength(100)
  onAbort(abort.signal, () => told.push(-1))
  expect(told).toHaveLength(100)
})

test('who has stopped listening is not told, also when somebody else stops it meanwhile', () => {
  const abort = new AbortController()
  const told: string[] = []
  const task = () => told.push('twice')
  onAbort(abort.signal, task)
  onAbort(abort.signal, task)()
  abort.abort()
  expect(told).toEqual(['twice'])
  expect(onAbort(undefined, task)).not.toThrow()
})
