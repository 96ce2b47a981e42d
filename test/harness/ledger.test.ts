// Whether the model finds each way in which a store can break its word. No process is started.
import { beforeEach, expect, test } from 'vitest'
import { Ledger } from './ledger.js'

let ledger: Ledger
beforeEach(() => {
  ledger = new Ledger()
})

/** Three tokens of two bytes on one key: acknowledged as the first, refused, unknown. */
function three(): [string, string, string] {
  const tokens: [string, string, string] = [ledger.begin('k'), ledger.begin('k'), ledger.begin('k')]
  ledger.acknowledged('k', tokens[0], tokens[0].length)
  ledger.refused('k', tokens[1])
  return tokens
}

test('what was acknowledged is there; what is unknown may be, once', () => {
  const [first, , unknown] = three()
  expect(ledger.faultsOf('k', first)).toEqual([])
  expect(ledger.faultsOf('k', first + unknown)).toEqual([])
  expect(ledger.faultsOf('k', first + unknown + unknown)).toEqual([expect.stringMatching(/twice/)])
})

test('an acknowledged token that is not there, is there twice or elsewhere', () => {
  const [first, , unknown] = three()
  expect(ledger.faultsOf('k', null)).toEqual([expect.stringMatching(/lost/)])
  expect(ledger.faultsOf('k', first + first)).toEqual([expect.stringMatching(/twice/)])
  expect(ledger.faultsOf('k', unknown + first)).toEqual([expect.stringMatching(/reported at 0/)])
})

test('a refused token is nowhere', () => {
  const [first, refused] = three()
  expect(ledger.faultsOf('k', first + refused)).toEqual([expect.stringMatching(/not applied/)])
})

test('a token of another key, and half a token', () => {
  const [first] = three()
  const other = ledger.begin('other')
  expect(ledger.faultsOf('k', first + other)).toEqual([expect.stringMatching(/never appended/)])
  expect(ledger.faultsOf('k', `${first}x`)).toEqual([expect.stringMatching(/not a whole token/)])
})
