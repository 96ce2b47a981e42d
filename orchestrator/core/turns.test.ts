import { expect, test } from 'vitest'
import { Turns } from './turns.js'

test('one at a time, in the order in which they came, also after one that has failed', async () => {
  const turns = new Turns()
  const told: string[] = []
  let release = () => {}
  const first = turns.take(async () => {
    told.push('first begins')
    await new Promise<void>((resolve) => {
      release = resolve
    })
    told.push('first ends')
    throw new Error('failed')
  })
  const second = turns.take(() => told.push('second'))
  await expect.poll(() => told).toEqual(['first begins'])
  release()
  await expect(first).rejects.toThrow('failed')
  expect(await second).toBe(3)
  expect(told).toEqual(['first begins', 'first ends', 'second'])
})
