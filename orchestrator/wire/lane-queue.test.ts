import { expect, test } from 'vitest'
import { LaneQueue } from './lane-queue.js'
import { FakeRequest } from './testing/fake-request.js'

test('gives requests in their order, as many as fit', () => {
  const queue = new LaneQueue()
  const requests = [10, 10, 10, 10].map((bytes) => new FakeRequest({ bytes }))
  for (const request of requests) queue.push(request)
  expect(queue.take(100, 25)).toEqual(requests.slice(0, 2))
  expect(queue.take(1, 100)).toEqual(requests.slice(2, 3))
  expect(queue.length).toBe(1)
})

test('what is larger than a message travels alone', () => {
  const queue = new LaneQueue()
  const [small, large] = [new FakeRequest({ bytes: 1 }), new FakeRequest({ bytes: 1000 })]
  queue.push(large)
  queue.push(small)
  expect(queue.take(100, 100)).toEqual([large])
  expect(queue.take(100, 100)).toEqual([small])
})

test('drops what nobody waits for any more', () => {
  const queue = new LaneQueue()
  const [given, wanted] = [new FakeRequest(), new FakeRequest()]
  queue.push(given)
  queue.push(wanted)
  given.settled = true
  expect(queue.take(1, 100_000)).toEqual([wanted])
  expect(queue.length).toBe(0)
})

test('takes out what is over and keeps the rest in order', () => {
  const queue = new LaneQueue()
  const requests = [7, 2, 8, 4].map((deadline) => new FakeRequest({ deadline }))
  for (const request of requests) queue.push(request)
  expect(queue.takeExpired(1)).toEqual([])
  expect(queue.takeExpired(4)).toEqual([requests[1], requests[3]])
  expect(queue.takeExpired(6)).toEqual([])
  expect(queue.takeAll()).toEqual([requests[0], requests[2]])
  expect(queue.length).toBe(0)
})
