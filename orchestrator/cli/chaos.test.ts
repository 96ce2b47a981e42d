import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chaos } from './chaos.js'

let folder: string
let warned: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-cli-'))
  warned = ''
})
afterEach(() => rmSync(folder, { recursive: true }))

const context = {
  out: () => undefined,
  warn: (text: string) => {
    warned += text
  },
  colours: false,
  version: '0',
}
const program = (): URL => pathToFileURL(join(folder, 'command.mjs'))

test('the program gets the options and gives the exit code', async () => {
  writeFileSync(program(), 'export const main = async (argv) => (argv.slice(2).join(" ") === "--minutes 5" ? 41 : 0)')
  expect(await chaos(['--minutes', '5'], context, program())).toBe(41)
})

test('without the project there is no such program, and that is said', async () => {
  expect(await chaos([], context, program())).toBe(3)
  expect(warned).toMatch(/^kvorum: chaos is part of the project/)
})
