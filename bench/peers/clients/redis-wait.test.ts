import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { WaitingPuts } from './redis-wait.js'

/** A connection that notes what is sent, one list of words for each pipeline, and answers every WAIT with `reached`. */
function fake(reached: number): { readonly sent: string[][]; readonly puts: WaitingPuts } {
  const sent: string[][] = []
  const pipeline = (): object => {
    const words: string[] = []
    const chain = {
      set: (key: string) => {
        words.push(key)
        return chain
      },
      wait: () => {
        words.push('WAIT')
        return chain
      },
      exec: async () => {
        sent.push(words)
        return words.map((word) => [null, word === 'WAIT' ? reached : 'OK'])
      },
    }
    return chain
  }
  return { sent, puts: new WaitingPuts({ pipeline } as unknown as Redis) }
}

const VALUE = Buffer.from('v')

test('puts of one turn share a WAIT, later ones have the next', async () => {
  const { sent, puts } = fake(1)
  await Promise.all([puts.put('a', VALUE), puts.put('b', VALUE)])
  await puts.put('c', VALUE)
  expect(sent).toEqual([
    ['a', 'b', 'WAIT'],
    ['c', 'WAIT'],
  ])
})

test('no put is acknowledged when no replica has it', async () => {
  const { puts } = fake(0)
  const results = await Promise.allSettled([puts.put('a', VALUE), puts.put('b', VALUE)])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await expect(puts.put('c', VALUE)).rejects.toThrow('WAIT 1 was answered with 0')
})
