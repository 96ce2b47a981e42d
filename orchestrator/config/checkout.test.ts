import { expect, test } from 'vitest'
import { fromCheckout } from './checkout.js'

test('a module is found by its path, and one that is not there is no error', async () => {
  const found = await fromCheckout<{ fromCheckout: unknown }>('orchestrator/config/checkout.ts')
  expect(found?.fromCheckout).toBeTypeOf('function')
  expect(await fromCheckout('test/no-such-thing.js')).toBeUndefined()
})
