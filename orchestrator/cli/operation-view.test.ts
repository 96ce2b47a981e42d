import { expect, test } from 'vitest'
import { type Operation, OperationState } from '../wire/control.js'
import { amountText, viewOf } from './operation-view.js'

/** One that has ended and moved nothing. */
function ended(kind: string, state: Operation['state'] = OperationState.DONE): Operation {
  const of = { id: 'abc', kind, what: kind, state, begunAt: 1_000n, endedAt: 4_000n, detail: '' }
  return { ...of, moves: [], steps: [], keys: undefined }
}

test('an operation that has moved nothing had nothing to do, and one of an unknown kind may have', () => {
  expect(amountText(viewOf(ended('reshard')))).toBe('nothing to do')
  expect(amountText(viewOf(ended('reshard', OperationState.CANCELLED)))).toBe('nothing to take back')
  expect(amountText(viewOf(ended('unknown')))).toBe('not known here')
})
