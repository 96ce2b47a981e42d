import { expect, test } from 'vitest'
import { checkAddress } from './address.js'

test.each(['localhost:7000', '127.0.0.1:1', '[::1]:65535'])('%s is an address', (address) => {
  expect(() => checkAddress(address)).not.toThrow()
})

test.each([
  'localhost',
  ':7000',
  'http://localhost:7000',
  'localhost:0',
  'localhost:65536',
  'a b:1',
  '',
  7000,
  undefined,
])('%j is none', (address) => {
  expect(() => checkAddress(address)).toThrow(TypeError)
})
