import { existsSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { PutOperation } from '../../core/operation.js'
import { TooLargeError, UnavailableError, UnsupportedError } from '../../errors/index.js'
import { servePages } from '../testing/pages.js'
import { Scene } from '../testing/scene.js'

const ROWS = 2_000

let scene: Scene
beforeEach(async () => {
  scene = await Scene.open()
})
afterEach(() => scene.close())

const name = (at: number) => `k${String(at).padStart(5, '0')}`
const line = (at: number, value = `v${at}`) => `{"key":"${name(at)}","value":"${value}"}\n`
const lines = (count = ROWS) => Array.from({ length: count }, (_, at) => line(at)).join('')

/** As they came to the node. */
function puts(): PutOperation[] {
  return scene.cluster.leader.operations.filter((operation): operation is PutOperation => operation.kind === 'put')
}

/** The first put of this key fails, and it is as if a person had stopped there. */
function refuseOnce(key: string): void {
  let refused = false
  servePages(scene.cluster, (operation) => {
    if (refused || Buffer.from(operation.key).toString() !== key) return undefined
    refused = true
    return new UnsupportedError('not now', { outcome: 'not-applied' })
  })
}

test('every row of a file is there, and nothing is left beside it', async () => {
  const file = scene.file('a.jsonl', lines())
  const { code, out } = await scene.run('import', file)
  expect(code).toBe(0)
  expect(out).toMatch(/^imported 2,000 rows in \d+\.\d s \([\d,]+\/s\)\n$/)
  expect(scene.rows).toEqual(Object.fromEntries(Array.from({ length: ROWS }, (_, at) => [name(at), `v${at}`])))
  expect(puts()).toHaveLength(ROWS)
  expect(existsSync(`${file}.kvorum-import`)).toBe(false)
})

test('after a failure the same command goes on behind what was acknowledged', async () => {
  const file = scene.file('a.jsonl', lines())
  refuseOnce(name(1_500))
  const first = await scene.run('import', file)
  expect(first.code).toBe(3)
  expect(first.warned).toMatch(
    /a\.jsonl, line 1501: the key k01500 was not put: .*not now \(UNSUPPORTED, not-applied\)/,
  )
  const told = Number(/lines 1 to (\d+) are imported, and the same command goes on behind them/.exec(first.warned)?.[1])
  expect(told).toBeGreaterThan(0)
  expect(told).toBeLessThanOrEqual(1_500)
  const before = puts().length
  const second = await scene.run('import', file)
  expect(second.code).toBe(0)
  expect(second.warned).toContain(`going on behind line ${told}; remove ${file}.kvorum-import to begin anew\n`)
  expect(second.out).toMatch(/^imported 2,000 rows/)
  expect(puts().length - before).toBe(ROWS - told)
  expect(Object.keys(scene.rows)).toHaveLength(ROWS)
})

test('it goes on in the same cluster and behind the same bytes only', async () => {
  const file = scene.file('a.jsonl', lines())
  refuseOnce(name(1_500))
  await scene.run('import', file)
  scene.file('a.jsonl', lines().replace('v7"', 'V7"'))
  const changed = await scene.run('import', file)
  expect(changed).toMatchObject({
    code: 2,
    warned: expect.stringContaining('of a file that began otherwise; remove it'),
  })
  scene.file('a.jsonl', line(0))
  expect((await scene.run('import', file)).warned).toContain('of a longer file')
  expect((await scene.run('import', file, '--format', 'csv')).warned).toContain('as jsonl')
  const other = await Scene.open('c2')
  try {
    expect((await other.run('import', file)).warned).toContain('into another cluster')
    expect(other.rows).toEqual({})
  } finally {
    await other.close()
  }
})

test('a bad line stops it; mended, it goes on there', async () => {
  const file = scene.file('a.jsonl', `${lines(300)}nonsense\n${line(300)}`)
  const stopped = await scene.run('import', file, '--json')
  expect(stopped.code).toBe(3)
  expect(JSON.parse(stopped.out)).toMatchObject({ ok: false, put: 300, lines: 300, error: { line: 301 } })
  expect(stopped.warned).toMatch(
    /line 301: it is no JSON \(.*\): mend it, or add --skip-bad; lines 1 to 300 are imported/,
  )
  scene.file('a.jsonl', `${lines(300)}${line(999)}${line(300)}`)
  expect((await scene.run('import', file)).out).toMatch(/^imported 302 rows/)
  expect(puts()).toHaveLength(302)
  expect((await scene.run('import', scene.file('one.jsonl', lines(1)))).out).toMatch(/^imported 1 row in/)
})

test('--skip-bad tells bad lines and goes on, also with those that the store refuses', async () => {
  servePages(scene.cluster, ({ key }) =>
    Buffer.from(key).toString() === name(1) ? new TooLargeError('too large', { outcome: 'not-applied' }) : undefined,
  )
  const file = scene.file('a.jsonl', `${lines(3)}\nnonsense\n${line(4)}`)
  const { code, out, warned } = await scene.run('import', file, '--skip-bad')
  expect(code).toBe(1)
  expect(out).toMatch(/^imported 3 rows, 2 lines were skipped in/)
  expect(warned).toContain('kvorum: line 2 was skipped: too large\n')
  expect(warned).toContain('kvorum: line 5 was skipped: it is no JSON')
  expect(existsSync(`${file}.kvorum-import`)).toBe(false)
  await scene.run('import', file, '--skip-bad', '--bad-to', scene.path('bad'))
  const told = scene
    .read('bad')
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as { line: number })
  expect(told.sort((a, b) => a.line - b.line)).toEqual([
    { line: 2, why: 'too large', text: 'the key is k00001' },
    { line: 5, why: expect.stringContaining('no JSON'), text: 'nonsense' },
  ])
})

test('rows of one key are put in their order: the last one counts', async () => {
  const many = Array.from({ length: 900 }, (_, at) => line(at % 7 === 0 ? 7 : at, `${at}`)).join('')
  await scene.run('import', scene.file('a.jsonl', many))
  const sent = puts().filter(({ key }) => Buffer.from(key).toString() === name(7))
  expect(sent.map(({ value }) => Buffer.from(value).toString())).toEqual(
    Array.from({ length: 900 }, (_, at) => at)
      .filter((at) => at % 7 === 0)
      .map(String),
  )
  expect(scene.rows[name(7)]).toBe('896')
  // What is in one message, or in two that are on their way, is concurrent.
  for (const { operations } of scene.cluster.leader.messages) {
    const names = operations.flatMap((operation) => (operation?.kind === 'put' ? [String(operation.key)] : []))
    expect(new Set(names).size).toBe(names.length)
  }
})

test('--if-absent leaves what is there; a ttl counts', async () => {
  await scene.run('put', name(1), 'mine')
  const file = scene.file('a.csv', `key,value,ttlMs\n${name(1)},theirs,\n${name(2)},short,5000\n`)
  const { out } = await scene.run('import', file, '--if-absent', '--json')
  expect(JSON.parse(out)).toMatchObject({ ok: true, put: 1, present: 1, skipped: 0, lines: 3 })
  expect(scene.rows).toEqual({ [name(1)]: 'mine', [name(2)]: 'short' })
  expect(puts().at(-1)?.ttlMs ?? puts().at(-2)?.ttlMs).toBe(5000)
})

test('an outcome that nobody knows is told', async () => {
  servePages(scene.cluster, ({ key }) =>
    Buffer.from(key).toString() === name(1) ? new UnavailableError('it died', { outcome: 'unknown' }) : undefined,
  )
  const { code, warned } = await scene.run('import', scene.file('a.jsonl', lines(3)), '--timeout', '300')
  expect(code).toBe(3)
  expect(warned).toMatch(
    /line 2: the key k00001 failed: .* unknown\); it may have been put all the same; nothing before it is known/,
  )
})

test('interrupted, it says how to go on', async () => {
  const over = new AbortController()
  servePages(scene.cluster, ({ key }) => {
    if (Buffer.from(key).toString() === name(900)) over.abort()
    return undefined
  })
  const file = scene.file('a.jsonl', lines(20_000))
  const stopped = await scene.runWith({ interrupted: over.signal }, 'import', file)
  expect(stopped.code).toBe(3)
  expect(stopped.warned).toMatch(/^kvorum: interrupted; lines 1 to \d+ are imported, and the same command goes on/)
  expect(puts().length).toBeLessThan(20_000)
  expect((await scene.run('import', file)).out).toMatch(/^imported 20,000 rows/)
  expect(Object.keys(scene.rows)).toHaveLength(20_000)
})

test.each([
  [['no.jsonl'], /no\.jsonl cannot be read: ENOENT/],
  [['.'], /say --format/],
  [['.', '--format', 'csv'], /is no file/],
  [['a.jsonl', '--bad-to', 'x'], /--bad-to says where/],
  [['a.jsonl', '--skip-bad', '--bad-to', 'IT'], /another file than the one that is imported/],
  [['a.jsonl', '--state', 'IT'], /another file than the one that is imported/],
])('%j cannot be imported', async (args, why) => {
  scene.file('a.jsonl', lines(1))
  const [file = '', ...rest] = args
  const { code, warned } = await scene.run(
    'import',
    scene.path(file),
    ...rest.map((arg) => (arg === 'IT' ? scene.path(file) : arg)),
  )
  expect({ code, warned }).toEqual({ code: 2, warned: expect.stringMatching(why) })
})

test('where nothing can be kept it says so', async () => {
  refuseOnce(name(1_500))
  const { code, warned } = await scene.run('import', scene.file('a.jsonl', lines()), '--state', scene.path('no/where'))
  expect({ code, warned }).toEqual({
    code: 2,
    warned: expect.stringMatching(/how far it is cannot be kept in .*ENOENT/),
  })
})
