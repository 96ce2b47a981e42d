import { expect, test } from 'vitest'
import { coloursFor } from './colours.js'

test.each<[boolean | undefined, Record<string, string | undefined>, boolean]>([
  [true, {}, true],
  [true, { NO_COLOR: '' }, true],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '0' }, false],
  [false, {}, false],
  [undefined, {}, false],
])('terminal %s, %o: %s', (isTTY, environment, colours) => {
  expect(coloursFor({ isTTY }, environment)).toBe(colours)
})
