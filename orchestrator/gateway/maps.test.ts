import { expect, test } from 'vitest'
import { MapCell } from '../core/map-source.js'
import { latestMaps } from './maps.js'
import { smallMap } from './testing/context.js'

test('gives the map now, each newer one, and skips what is void', async () => {
  const cell = new MapCell(smallMap(1n))
  const stop = new AbortController()
  const maps = latestMaps(cell, stop.signal)
  expect((await maps.next()).value.epoch).toBe(1n)
  cell.publish(smallMap(2n))
  cell.publish(smallMap(3n))
  expect((await maps.next()).value.epoch).toBe(3n)
  const waiting = maps.next()
  cell.publish(smallMap(4n))
  expect((await waiting).value.epoch).toBe(4n)
})

test('ends when the client has gone', async () => {
  const stop = new AbortController()
  const maps = latestMaps(new MapCell(smallMap(1n)), stop.signal)
  await maps.next()
  const waiting = maps.next()
  stop.abort()
  expect((await waiting).done).toBe(true)
})
