import { afterEach, beforeEach, expect, test } from 'vitest'
import { Scene } from './testing/scene.js'

let scene: Scene
beforeEach(async () => {
  scene = await Scene.open()
  for (const name of ['a', 'b', 'c', 'd', 'e']) scene.cluster.rows.set(name, { value: Buffer.from(name), version: 1n })
})
afterEach(() => scene.close())

const keysIn = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { key: string }).key)

test('a limit that leaves keys out tells the cursor, and a scan goes on behind it', async () => {
  const first = await scene.run('scan', '--limit', '2', '--json')
  expect(keysIn(first.out)).toEqual(['a', 'b'])
  const [, cursor = ''] = /^kvorum: there are more keys: go on with --cursor (\S+)\n$/.exec(first.warned) ?? []
  const second = await scene.run('scan', '--limit', '3', '--json', '--cursor', cursor)
  expect(keysIn(second.out)).toEqual(['c', 'd', 'e'])
  // There is nothing left: nothing is told.
  expect(second.warned).toBe('')
})

test('keys alone, and as a table', async () => {
  const { out, warned } = await scene.run('scan', '--limit', '1', '--keys-only')
  expect(out).toBe('KEY  VERSION\na    1\n')
  expect(warned).toContain('--cursor ')
})

test('a cursor that is none is wrong usage', async () => {
  const { code, warned } = await scene.run('scan', '--cursor', 'x')
  expect({ code, warned }).toEqual({ code: 2, warned: expect.stringContaining('cursor') })
})
