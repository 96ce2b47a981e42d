import { expect, test } from 'vitest'
import { ConfigFault, configFrom } from './load.js'

function faults(options: object): readonly string[] {
  try {
    configFrom(options)
  } catch (error) {
    if (error instanceof ConfigFault) return error.faults
    throw error
  }
  return []
}

test('what a program leaves out is as on the command line', () => {
  expect(configFrom({ port: 0, data: 'd', shards: undefined })).toMatchObject({ port: 0, data: 'd', host: '127.0.0.1' })
  expect(Object.isFrozen(configFrom({}))).toBe(true)
})

test('every fault is told at once, by the name of the option', () => {
  expect(faults({ shard: 3, replicas: 9, host: '0.0.0.0' })).toEqual([
    '"shard" is not an option: shards is meant, perhaps',
    'replicas is 9, but must be a whole number from 1 to 7',
  ])
  expect(faults({ host: '0.0.0.0' })).toEqual([expect.stringContaining('add --insecure')])
  expect(faults({ timeout: 5 })).toEqual(['"timeout" is not an option'])
})
