import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DataDirectory } from './data-directory.js'
import { whyNotTheirs } from './same-data.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-same-data-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const meta = [
  { id: 'n1', address: 'a:1' },
  { id: 'n2', address: 'a:2' },
]

function whyNot(): string | undefined {
  return whyNotTheirs(new DataDirectory(folder), 'c1', meta)
}

function node(index: number, identity: string): void {
  const directory = join(folder, 'meta', `node-${index}`)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'identity.json'), identity)
}

test('theirs is what one of them has written', () => {
  node(1, 'half writ')
  node(2, '{"cluster":"c1","node":"n2"}')
  expect(whyNot()).toBeUndefined()
})

test('an empty one, one of strangers and one of another cluster are told apart', () => {
  expect(whyNot()).toBe(`there is nothing of them in ${folder}`)
  node(1, '{"cluster":"c1","node":"n9"}')
  expect(whyNot()).toBe(`there is nothing of them in ${folder}`)
  node(2, '{"cluster":"c2","node":"n2"}')
  expect(whyNot()).toBe(`${folder} is of another cluster, c2, which is left alone`)
})
