import { expect, test } from 'vitest'
import { nearest, describe as wordsFor } from './words.js'

test.each<[unknown, string]>([
  [undefined, 'undefined'],
  [null, 'null'],
  ['ab', '"ab"'],
  ['x'.repeat(100), `"${'x'.repeat(64)}..."`],
  [5, 'the number 5'],
  [Number.NaN, 'NaN'],
  [5n, 'the bigint 5n'],
  [true, 'true'],
  [{}, 'an object'],
  [Object.create(null), 'an object'],
  [[], 'an Array'],
  [new Date(0), 'a Date'],
  [new ArrayBuffer(1), 'an ArrayBuffer'],
  [() => {}, 'a function'],
  [Symbol('s'), 'a symbol'],
])('%o is told as %s', (value, words) => {
  expect(wordsFor(value)).toBe(words)
})

test.each([
  ['ifversion', 'ifVersion'],
  ['if_version', 'ifVersion'],
  ['ifVerson', 'ifVersion'],
  ['deadline', 'deadlineMs'],
  ['timeout', undefined],
  ['signals', 'signal'],
  ['', undefined],
])('%j was most likely meant to be %s', (word, meant) => {
  expect(nearest(word, ['ifVersion', 'ifAbsent', 'returnPrevious', 'deadlineMs', 'signal'])).toBe(meant)
})
