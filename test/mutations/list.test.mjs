import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MUTATIONS } from './list.mjs'

const ROOT = join(import.meta.dirname, '..', '..')

// The mutations themselves are tried by hand. What would make one of them try nothing is seen here.
test.each(MUTATIONS)('$name: what it replaces is there once', ({ file, find, replace, test: finder }) => {
  expect(readFileSync(join(ROOT, file), 'utf8').split(find)).toHaveLength(2)
  expect(replace).not.toBe(find)
  expect(existsSync(join(ROOT, finder))).toBe(true)
})
