import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FORMATS, type FormatName, formatOf, readerOf, writerOf } from './format.js'
import { type Batch, fromStart, readRows } from './read-rows.js'
import type { ReadRow, Row } from './row.js'

const EXTRAS = { versions: true, ttls: true }

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => Buffer.from(text)),
  fc.constantFrom('', '"', '""', ',', '\r', '\r\n', '\n', 'a"b', '\ufeff', '{"base64":""}', '\u0000').map(Buffer.from),
)
const row: fc.Arbitrary<ReadRow> = fc.record({
  key: bytes.filter((key) => key.length > 0),
  value: bytes,
  version: fc.bigInt({ min: 1n, max: 2n ** 63n }),
  ttlMs: fc.option(fc.integer({ min: 1, max: 1_000_000 }), { nil: undefined }),
})

async function* chunksOf(all: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size)
}

async function batchesOf(format: FormatName, all: Buffer | string, size = 1 << 20, rowBytesMax?: number) {
  const batches: Batch[] = []
  const read = readRows(chunksOf(Buffer.from(all), size), readerOf(format), fromStart(), { rowBytesMax })
  for await (const batch of read) batches.push(batch)
  return batches
}

function fileOf(format: FormatName, rows: readonly ReadRow[]): Buffer {
  const writer = writerOf(format, EXTRAS)
  return Buffer.from(writer.head + rows.map((one) => writer.write(one)).join(''))
}

const plain = (rows: readonly Row[]) =>
  rows.map(({ key, value, ttlMs }) => [Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex'), ttlMs])

describe.each(FORMATS)('%s', (format) => {
  test('any bytes come back as they were, however the file is cut into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 12 }), fc.integer({ min: 1, max: 40 }), async (rows, size) => {
        const batches = await batchesOf(format, fileOf(format, rows), size)
        expect(plain(batches.flatMap((batch) => batch.rows))).toEqual(plain(rows))
        expect(batches.filter(({ bad }) => bad !== undefined)).toEqual([])
      }),
    )
  })

  test('reading goes on behind any batch, and finds the rest and no more', async () => {
    const rows = Array.from({ length: 600 }, (_, at) => ({
      ...{ key: Buffer.from(`k${at}`), version: 1n, ttlMs: undefined },
      value: Buffer.from(at % 3 === 0 ? 'two\r\n"lines"' : `${at}`),
    }))
    const file = fileOf(format, rows)
    const reader = readerOf(format)
    const batches: Batch[] = []
    for await (const batch of readRows(chunksOf(file, 1000), reader, fromStart())) batches.push(batch)
    expect(batches.length).toBeGreaterThan(2)
    expect(batches.at(-1)?.end.offset).toBe(file.length)
    for (const [index, { end, hash }] of batches.entries()) {
      const rest: Batch[] = []
      const chunks = chunksOf(file.subarray(end.offset), 77)
      const begin = { at: end, hash: hash.copy() }
      for await (const batch of readRows(chunks, readerOf(format, reader.columns), begin)) rest.push(batch)
      expect(plain(rest.flatMap((batch) => batch.rows))).toEqual(
        plain(batches.slice(index + 1).flatMap((batch) => batch.rows)),
      )
      expect(rest.at(-1)?.end).toEqual(batches.at(-1)?.end)
      expect(rest.at(-1)?.hash.digest('hex')).toBe(batches.at(-1)?.hash.copy().digest('hex'))
    }
  })
})

test.each([
  ['{"key":"a","value":"b"}', 'a=b'],
  ['\ufeff{"key":"a","value":"b"}\r\n\n  \n{"value":"","key":"c"}', 'a=b c='],
  ['{"key":{"base64":"YQ=="},"value":{"base64":"Yg=="},"version":"7"}\n', 'a=b'],
  ['{"keyBase64":"YQ==","valueBase64":""}\n', 'a='],
])('JSONL that others wrote: %j', async (text, expected) => {
  await expectRows('jsonl', text, expected)
})

test.each([
  ['key,value\na,b\n', 'a=b'],
  ['\ufeffvalue,key\r\n"x, ""y""\r\nz",a\r\n\r\n,c', 'a=x, "y"\r\nz c='],
  ['keyBase64,value,valueBase64\nYQ==,,Yg==\nYw==,d,\n', 'a=b c=d'],
  ['"key","value","version","ttlMs"\n"a","b",9,\n', 'a=b'],
  ['key,value\n"a","b"', 'a=b'],
  ['key,value\na,b\r', 'a=b'],
])('CSV that others wrote: %j', async (text, expected) => {
  await expectRows('csv', text, expected)
})

/** The same, whether it comes at once or byte by byte. */
async function expectRows(format: FormatName, text: string, expected: string): Promise<void> {
  for (const size of [1, 1 << 20]) {
    const rows = (await batchesOf(format, text, size)).flatMap((batch) => batch.rows)
    expect(rows.map(({ key, value }) => `${Buffer.from(key)}=${Buffer.from(value)}`).join(' ')).toBe(expected)
  }
}

const LINE = '{"key":"k","value":"v"}'
test.each<[FormatName, string, RegExp]>([
  ['jsonl', 'hello', /^it is no JSON \(/],
  ['jsonl', '[1]', /no JSON object/],
  ['jsonl', '{"key":"k"}', /no value \(nor valueBase64\)/],
  ['jsonl', '{"value":"v"}', /no key/],
  ['jsonl', '{"key":"","value":"v"}', /the key is empty/],
  ['jsonl', '{"key":"k","value":5}', /the value is no text/],
  ['jsonl', '{"key":"k","value":"\\ud800"}', /lone surrogate/],
  ['jsonl', '{"key":"k","value":"v","valueBase64":""}', /one of them is meant/],
  ['jsonl', '{"key":"k","valueBase64":"!!"}', /no base64/],
  ['jsonl', '{"key":"k","value":{"base64":"YQ=="},"ttl_ms":5}', /a field "ttl_ms"/],
  ['jsonl', '{"key":"k","value":"v","ttlMs":0}', /from 1 to/],
  ['csv', 'a,b,c', /it has 3 fields, and the header 2/],
  ['csv', 'a', /it has 1 field, and the header 2/],
  ['csv', ',b', /the key|no key/],
  ['csv', 'a,b"c', /a quote stands in a field/],
  ['csv', '"a"b,c', /behind a closing quote/],
])('%s: %s is no row, and costs no other one', async (format, line, why) => {
  const [good, head] = format === 'csv' ? ['k,v', 'key,value\n'] : [LINE, '']
  for (const size of [1, 1 << 20]) {
    const batches = await batchesOf(format, `${head}${good}\n${line}\r\n${good}\n`, size)
    expect(batches.flatMap((batch) => batch.rows)).toHaveLength(2)
    const bad = batches.flatMap((batch) => (batch.bad === undefined ? [] : [batch.bad]))
    expect(bad).toEqual([{ line: format === 'csv' ? 3 : 2, why: expect.stringMatching(why), text: line }])
  }
})

test('a quote that is never closed ends with its line', async () => {
  const batches = await batchesOf('csv', 'key,value\na,"b\nc,d\n')
  expect(batches.flatMap(({ rows }) => rows.map(({ line }) => line))).toEqual([3])
  expect(batches.map(({ bad }) => bad?.why)).toContain('a quote is not closed')
})

test('bytes that are no UTF-8 are no row', async () => {
  const file = Buffer.concat([Buffer.from('{"key":"k","value":"'), Buffer.from([0xff]), Buffer.from('"}\n')])
  expect((await batchesOf('jsonl', file))[0]?.bad?.why).toMatch(/not UTF-8: other bytes go into keyBase64/)
})

test.each(FORMATS)('%s: a row without end fills no memory', async (format) => {
  const head = format === 'csv' ? 'key,value\n' : ''
  const good = format === 'csv' ? 'k,v' : LINE
  for (const size of [10, 100, 1 << 20]) {
    const text = `${head}${good}\n${'x'.repeat(1000)}\n${good}\n${'y'.repeat(1000)}`
    const batches = await batchesOf(format, text, size, 300)
    expect(batches.flatMap((batch) => batch.rows)).toHaveLength(2)
    const bad = batches.flatMap((batch) => (batch.bad === undefined ? [] : [batch.bad.line]))
    expect(bad).toEqual(format === 'csv' ? [3, 5] : [2, 4])
    expect(batches.at(-1)?.end).toEqual({ offset: text.length, lines: format === 'csv' ? 5 : 4 })
  }
})

test.each(['a,b\n1,2\n', 'key\n', 'key,value,key\n', 'key,value,ttl\n'])('%j is no header', async (text) => {
  await expect(batchesOf('csv', text)).rejects.toThrow(/the first row of CSV names the columns/)
})

test('a name tells the format', () => {
  expect([formatOf('a.csv', undefined), formatOf('A.JSONL', undefined), formatOf('-', undefined)]).toEqual([
    ...['csv', 'jsonl', 'jsonl'],
  ])
  expect(formatOf('-', 'csv')).toBe('csv')
  expect(() => formatOf('dump', undefined)).toThrow(/say --format/)
})
