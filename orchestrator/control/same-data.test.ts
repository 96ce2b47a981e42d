import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DataDirectory } from './data-directory.js'
import { StartFault } from './faults.js'
import { expectNotOfAnother, whyNotTheirs } from './same-data.js'

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

test('an empty one and one of strangers are not', () => {
  expect(whyNot()).toBe(`there is nothing of them in ${folder}`)
  node(1, '{"cluster":"c1","node":"n9"}')
  expect(whyNot()).toBe(`there is nothing of them in ${folder}`)
})

test('one of another cluster is none to join with', async () => {
  const joins = () => expectNotOfAnother(new DataDirectory(folder), 'c1', { pid: 1, roams: false })
  await joins()
  node(1, 'half writ')
  node(2, '{"node":"n2"}')
  await joins()
  node(3, '{"cluster":"c2","node":"n2"}')
  const words = `the data directory ${folder} is of cluster c2, not c1: start this orchestrator with another --data`
  await expect(joins()).rejects.toEqual(new StartFault(words))
  node(4, '{"cluster":"c1","node":"n4"}')
  await joins()
})
