import { describe, expect, test } from 'vitest'
import { operationSchema } from '../../orchestrator/control/operations/record.js'
import { DEFAULT_LIMITS } from '../../orchestrator/core/limits.js'
import { greatestRow, operationLoad, recordOf } from './meta.js'

test('its rows are what the journal would write', () => {
  expect(operationSchema.safeParse(recordOf(3, 256, [])).success).toBe(true)
  expect(operationLoad(3, 256, 0).isAllowed).toBe(true)
})

describe('the greatest row', () => {
  test('is greater than that of any reshard, turned back or not', () => {
    for (const [from, to] of [
      [3, 256],
      [3, 1000],
      [250, 1000],
      [1000, 3],
    ] as const) {
      const { rowBytes, turnedBytes } = operationLoad(from, to, 0)
      expect(rowBytes).toBeLessThan(turnedBytes)
      expect(turnedBytes).toBeLessThan(greatestRow(Math.max(from, to)))
    }
  })

  test('is a value that meta takes', () => {
    expect(greatestRow(1023)).toBeLessThan(DEFAULT_LIMITS.valueBytesMax / 2)
  })
})
