import { beforeEach, expect, test } from 'vitest'
import { chaos } from './chaos.js'

let warned: string
beforeEach(() => {
  warned = ''
})

const context = {
  out: () => undefined,
  warn: (text: string) => {
    warned += text
  },
  colours: false,
  columns: 0,
  version: '0',
}

test('the program gets the options and gives the exit code', async () => {
  const main = async (argv: readonly string[]) => (argv.slice(2).join(' ') === '--minutes 5' ? 41 : 0)
  expect(await chaos(['--minutes', '5'], context, async () => ({ main }))).toBe(41)
})

test('without the project there is no such program, and that is said', async () => {
  expect(await chaos([], context, async () => undefined)).toBe(3)
  expect(warned).toMatch(/^kvorum: chaos is part of the project/)
})
