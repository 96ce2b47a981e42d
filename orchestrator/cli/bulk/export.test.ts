import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { UnsupportedError } from '../../errors/index.js'
import { servePages } from '../testing/pages.js'
import { Scene } from '../testing/scene.js'
import { FORMATS } from './format.js'
import { thisWriter } from './writer.js'

let scene: Scene
beforeEach(async () => {
  scene = await Scene.open()
})
afterEach(() => scene.close())

const row = (value: string | Uint8Array) => ({ value: Buffer.from(value), version: 3n })

function fill(count: number): void {
  for (let at = 0; at < count; at++) scene.cluster.rows.set(`k${1_000 + at}`, row(`v${at}\n"${at}"`))
}

/** The scan fails at its n-th page. */
function failAtPage(n: number): void {
  let pages = 0
  servePages(scene.cluster, ({ kind, ...rest }) => {
    if (kind !== 'page' || !('content' in rest) || rest.content === 'count' || ++pages < n) return undefined
    return new UnsupportedError('not now', { outcome: 'not-applied' })
  })
}

test('a line for each key, in their order', async () => {
  scene.cluster.rows.set('other', row('x'))
  expect((await scene.run('export', scene.path('one.jsonl'))).out).toMatch(/^exported 1 row in/)
  rmSync(scene.path('one.jsonl'))
  fill(3)
  const { code, out } = await scene.run('export', scene.path('a.jsonl'), '--prefix', 'k', '--versions')
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^exported 3 rows in \d\.\d s/) })
  expect(scene.read('a.jsonl').split('\n')[1]).toBe('{"key":"k1001","value":"v1\\n\\"1\\"","version":"3"}')
  expect(readdirSync(scene.folder)).toEqual(['a.jsonl'])
})

test('CSV has a header, also when there are no keys', async () => {
  await scene.run('export', scene.path('a.csv'), '--ttls')
  expect(scene.read('a.csv')).toBe('key,value,keyBase64,valueBase64,ttlMs\n')
})

test('--ttls: what is left of each, at the moment of its value', async () => {
  fill(200)
  scene.cluster.leader.ttls.set('k1007', 700)
  const { out } = await scene.run('export', scene.path('a.jsonl'), '--ttls', '--json')
  expect(JSON.parse(out)).toMatchObject({ ok: true, rows: 200 })
  const rows = scene
    .read('a.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { key: string; ttlMs?: number })
  expect(rows.filter(({ ttlMs }) => ttlMs !== undefined)).toEqual([
    expect.objectContaining({ key: 'k1007', ttlMs: 700 }),
  ])
  expect(rows).toHaveLength(200)
})

test('--ttls: a key that is due and not deleted yet is a row that an import takes, and no one that stays', async () => {
  fill(2)
  scene.cluster.leader.ttls.set('k1001', 0)
  const file = scene.path('a.jsonl')
  await scene.run('export', file, '--ttls')
  expect(await scene.run('import', file)).toMatchObject({ code: 0, warned: '' })
  expect(scene.cluster.leader.ttls.get('k1001')).toBe(1)
})

test.each(FORMATS)('%s: what is exported is what an import brings back, byte by byte', async (format) => {
  const bytes = fc.uint8Array({ maxLength: 12 })
  const text = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => Uint8Array.from(Buffer.from(text)))
  const any = fc.oneof(bytes, text)
  const rows = fc.sample(
    fc.tuple(
      any.filter((key) => key.length > 0),
      any,
    ),
    500,
  )
  for (const [key, value] of rows) scene.cluster.rows.set(Buffer.from(key).toString('latin1'), row(value))
  const file = scene.path(`a.${format}`)
  await scene.run('export', file)
  const other = await Scene.open('c2')
  try {
    expect(await other.run('import', file)).toMatchObject({ code: 0, warned: '' })
    expect(valuesOf(other)).toEqual(valuesOf(scene))
  } finally {
    await other.close()
  }
})

function valuesOf({ cluster }: Scene) {
  return [...cluster.rows].map(([name, { value }]) => [name, Buffer.from(value).toString('latin1')]).sort()
}

test.each(FORMATS)('%s: it goes on behind the last whole row, wherever it was cut off', async (format) => {
  fill(400)
  const whole = scene.path(`whole.${format}`)
  await scene.run('export', whole)
  const [file, part] = [scene.path(`a.${format}`), scene.path(`a.${format}.kvorum-part`)]
  failAtPage(5)
  const failed = await scene.run('export', file)
  expect(failed).toMatchObject({ code: 3, warned: expect.stringContaining('not now') })
  expect(existsSync(file)).toBe(false)
  const [kept, state] = [scene.read(`a.${format}.kvorum-part`), scene.read(`a.${format}.kvorum-export`)]
  servePages(scene.cluster)
  const rest = scene.read(`whole.${format}`).slice(kept.length)
  for (const torn of ['', ...[1, 7, 20, 33, 100].map((length) => rest.slice(0, length)), `${rest}more`]) {
    writeFileSync(part, kept + torn)
    writeFileSync(scene.path(`a.${format}.kvorum-export`), state)
    const { code, warned } = await scene.run('export', file)
    expect({ code, warned }).toEqual({
      code: 0,
      warned: expect.stringMatching(
        /going on behind \d+ rows of an export that was begun \d s ago; remove .*export to begin anew/,
      ),
    })
    expect(scene.read(`a.${format}`)).toBe(scene.read(`whole.${format}`))
  }
  expect(readdirSync(scene.folder).sort()).toEqual([`a.${format}`, `whole.${format}`])
})

test('one that failed before its first row has one header', async () => {
  fill(1)
  failAtPage(1)
  expect((await scene.run('export', scene.path('a.csv'))).code).toBe(3)
  servePages(scene.cluster)
  await scene.run('export', scene.path('a.csv'))
  expect(scene.read('a.csv')).toBe('key,value,keyBase64,valueBase64\nk1000,"v0\n""0""",,\n')
})

test('what is gone of the part is written again', async () => {
  fill(400)
  failAtPage(5)
  await scene.run('export', scene.path('a.jsonl'))
  truncateSync(scene.path('a.jsonl.kvorum-part'), 10)
  servePages(scene.cluster)
  expect((await scene.run('export', scene.path('a.jsonl'))).out).toMatch(/^exported 400 rows/)
  expect(scene.read('a.jsonl').split('\n')).toHaveLength(401)
})

test('another export does not go on with it', async () => {
  fill(400)
  failAtPage(5)
  await scene.run('export', scene.path('a.jsonl'))
  servePages(scene.cluster)
  for (const args of [['--prefix', 'k'], ['--versions'], ['--format', 'csv']]) {
    const { code, warned } = await scene.run('export', scene.path('a.jsonl'), ...args)
    expect({ code, warned }).toEqual({ code: 2, warned: expect.stringContaining('of other keys, another form') })
  }
  appendFileSync(scene.path('a.jsonl.kvorum-export'), 'x')
  expect((await scene.run('export', scene.path('a.jsonl'))).warned).toContain('does not say how far it was')
})

test('two at once would write into each other: the second one is refused, until the first has died', async () => {
  fill(400)
  failAtPage(5)
  await scene.run('export', scene.path('a.jsonl'))
  servePages(scene.cluster)
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  const state = JSON.parse(scene.read('a.jsonl.kvorum-export'))
  // As another version has written it, which did not tell when it was started.
  const { started: _, ...old } = state
  scene.file('a.jsonl.kvorum-export', JSON.stringify({ ...old, pid: other.pid }))
  const kept = scene.read('a.jsonl.kvorum-part')
  const refused = await scene.run('export', scene.path('a.jsonl'))
  expect(refused).toMatchObject({
    code: 2,
    warned: expect.stringContaining(`process ${other.pid} is exporting to ${scene.path('a.jsonl')}`),
  })
  expect(scene.read('a.jsonl.kvorum-part')).toBe(kept)
  other.kill('SIGKILL')
  await once(other, 'exit')
  expect((await scene.run('export', scene.path('a.jsonl'))).out).toMatch(/^exported 400 rows/)
})

test.runIf(process.platform === 'linux')(
  'a program that has got the number of one that died is none that exports',
  async () => {
    fill(400)
    failAtPage(5)
    await scene.run('export', scene.path('a.jsonl'))
    servePages(scene.cluster)
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    try {
      const state = JSON.parse(scene.read('a.jsonl.kvorum-export'))
      expect(state.started).toMatch(/^\d+$/)
      scene.file('a.jsonl.kvorum-export', JSON.stringify({ ...state, pid: other.pid, started: '1' }))
      expect((await scene.run('export', scene.path('a.jsonl'))).out).toMatch(/^exported 400 rows/)
    } finally {
      other.kill('SIGKILL')
      await once(other, 'exit')
    }
  },
)

test('how old it is what it goes on with is said, where that is known', async () => {
  fill(400)
  failAtPage(5)
  await scene.run('export', scene.path('a.jsonl'))
  const { begunAt, ...unknown } = JSON.parse(scene.read('a.jsonl.kvorum-export'))
  for (const [state, words] of [
    [
      { ...unknown, begunAt: begunAt - 3 * 86_400_000 },
      /behind \d+ rows of an export that was begun 72 h 0 min ago; remove/,
    ],
    [unknown, /behind \d+ rows; remove/],
  ] as const) {
    scene.file('a.jsonl.kvorum-export', JSON.stringify(state))
    failAtPage(1)
    // Also whoever comes after one that has not got any further.
    for (let again = 0; again < 2; again++) {
      expect((await scene.run('export', scene.path('a.jsonl'))).warned).toMatch(words)
    }
  }
})

test('it says who writes from its beginning on', async () => {
  fill(400)
  let seen = ''
  servePages(scene.cluster, ({ kind }) => {
    if (kind === 'page' && seen === '') seen = scene.read('a.jsonl.kvorum-export')
    return undefined
  })
  await scene.run('export', scene.path('a.jsonl'))
  expect(JSON.parse(seen)).toMatchObject({ bytes: 0, ...thisWriter() })
})

test('interrupted, it says how to go on', async () => {
  fill(400)
  const over = new AbortController()
  let pages = 0
  servePages(scene.cluster, ({ kind }) => {
    if (kind === 'page' && ++pages === 4) over.abort()
    return undefined
  })
  const stopped = await scene.runWith({ interrupted: over.signal }, 'export', scene.path('a.jsonl'))
  expect(stopped.code).toBe(3)
  expect(stopped.warned).toMatch(/interrupted; \d+ rows were written, and the same command goes on/)
  expect((await scene.run('export', scene.path('a.jsonl'))).out).toMatch(/^exported 400 rows/)
})

test('only files are written', async () => {
  const { code, warned } = await scene.run('export', scene.folder, '--format', 'csv')
  expect({ code, warned }).toEqual({ code: 2, warned: expect.stringContaining('is no file: export to -') })
})
