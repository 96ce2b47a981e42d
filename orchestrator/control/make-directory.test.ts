import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeDirectory } from './make-directory.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-make-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('makes what is missing, and is content with what is there', () => {
  const path = join(folder, 'a', 'b', 'c')
  makeDirectory(path)
  makeDirectory(path)
  expect(statSync(path).isDirectory()).toBe(true)
})

test('a file on the way is refused', () => {
  writeFileSync(join(folder, 'file'), '')
  expect(() => makeDirectory(join(folder, 'file', 'below'))).toThrow('ENOTDIR')
})

test.runIf(existsSync('/proc/self'))('a file system that takes no directories is refused', () => {
  expect(() => makeDirectory('/proc/kvorum/data')).toThrow('ENOENT')
})
