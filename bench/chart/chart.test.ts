import { describe, expect, test } from 'vitest'
import { barChart } from './bars.js'
import { type LineSeries, lineChart } from './lines.js'
import { roundDown, roundUp, scaleOf, short } from './scale.js'
import { escapeText, PALETTE, wrapped } from './svg.js'

/** The names of the elements, or what is wrong: enough XML for what our own code writes. */
function elementsOf(xml: string): string[] {
  const open: string[] = []
  const names: string[] = []
  const tag = /<(\/?)([a-z]+)((?: [A-Za-z0-9-]+="[^"<&]*(?:&(?:amp|lt|gt|quot|apos);[^"<&]*)*")*)(\/?)>/g
  const between = xml.replace(tag, (_, closes: string, name: string, attributes: string, alone: string) => {
    const keys = [...attributes.matchAll(/ ([A-Za-z0-9-]+)=/g)].map((found) => found[1])
    if (new Set(keys).size !== keys.length) throw new Error(`<${name}> has an attribute twice`)
    if (closes === '') names.push(name)
    if (closes === '/' && open.pop() !== name) throw new Error(`</${name}> closes nothing`)
    if (closes === '' && alone === '') open.push(name)
    return ''
  })
  if (open.length > 0) throw new Error(`never closed: ${open.join(', ')}`)
  const odd = /[<>]|&(?!(?:amp|lt|gt|quot|apos);)/.exec(between)
  if (odd !== null) throw new Error(`no markup: ${between.slice(odd.index, odd.index + 40)}`)
  return names
}

function mustBeSound(document: string): string[] {
  expect(document).not.toMatch(/NaN|Infinity|undefined/)
  return elementsOf(document)
}

const count = (names: readonly string[], name: string): number => names.filter((one) => one === name).length

describe('scales', () => {
  test('linear ticks are round, begin at zero and go past the greatest value', () => {
    expect(scaleOf([3, 18_760, 62_008], false).ticks).toEqual([0, 20_000, 40_000, 60_000, 80_000])
    expect(scaleOf([0.98], false).ticks).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1])
    expect(scaleOf([-3, 7], false).ticks).toEqual([-4, -2, 0, 2, 4, 6, 8])
  })

  test('logarithmic ticks are 1, 2 and 5 over a few decades, powers of ten over many', () => {
    expect(scaleOf([3, 90], true).ticks).toEqual([2, 5, 10, 20, 50, 100])
    expect(scaleOf([0.4, 70_000], true).ticks).toEqual([1, 10, 100, 1000, 10_000, 100_000])
    expect(scaleOf([1, 1e30], true).ticks.length).toBeLessThanOrEqual(8)
  })

  test('every value has its place between 0 and 1, and every tick', () => {
    for (const logarithmic of [false, true]) {
      for (const values of [[], [0], [7], [1, 1], [1e-7, 1e9], [Number.NaN, 5], [4095, 4096]]) {
        const scale = scaleOf(values, logarithmic)
        const shown = values.filter((value) => Number.isFinite(value) && (!logarithmic || value > 0))
        for (const value of [...shown, ...scale.ticks]) {
          expect(scale.at(value), `${value} of ${values}`).toBeGreaterThanOrEqual(-1e-9)
          expect(scale.at(value), `${value} of ${values}`).toBeLessThanOrEqual(1 + 1e-9)
        }
        expect(scale.ticks.length).toBeGreaterThan(1)
      }
    }
  })

  test('what a logarithmic axis cannot show has no place', () => {
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(scaleOf([1, 10], true).at(value)).toBeUndefined()
    }
  })

  test('rounding ends at 1, 2 or 5', () => {
    expect([1, 1.2, 3, 7, 0.03].map(roundUp)).toEqual([1, 2, 5, 10, 0.05])
    expect([1, 1.2, 3, 7, 0.03].map(roundDown)).toEqual([1, 1, 2, 5, 0.02])
  })

  test('short numbers', () => {
    expect([0, 0.9847, 342, 999.9, 18_760, 999_999, 2e6, 3e9].map(short)).toEqual(
      ['0', '0.985', '342', '1k', '18.8k', '1M', '2M', '3G'], // 999.9 and 999,999 round to the next unit.
    )
    expect(short(Number.NaN)).toBe('n/a')
  })
})

describe('text', () => {
  test('is escaped, and loses what XML does not allow', () => {
    expect(escapeText(`a<b> & "c" 'd'`)).toBe('a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;')
    expect(escapeText('a\u0000b\u001bc\ud800d\uffffe 😀')).toBe('abcde 😀')
  })

  test('is wrapped between words', () => {
    expect(wrapped('one two three', 60, 12)).toEqual(['one two', 'three'])
    expect(wrapped('', 60, 12)).toEqual([''])
  })
})

test('every colour is at least 3:1 on white', () => {
  const channel = (hex: string): number => {
    const share = Number.parseInt(hex, 16) / 255
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }
  for (const colour of PALETTE) {
    const [red, green, blue] = [1, 3, 5].map((at) => channel(colour.slice(at, at + 2)))
    const luminance = 0.2126 * (red ?? 0) + 0.7152 * (green ?? 0) + 0.0722 * (blue ?? 0)
    expect(1.05 / (luminance + 0.05), colour).toBeGreaterThanOrEqual(3)
  }
})

describe('bars', () => {
  const groups = [
    { name: 'put <256 B>', bars: [bar('Kvorum', 18_760), bar('other & co', 900)] },
    { name: 'get', bars: [bar('other & co', 12)] },
  ]

  function bar(series: string, value: number): { series: string; value: number } {
    return { series, value }
  }

  test('one for each value, the same colour for the same series', () => {
    for (const logarithmic of [false, true]) {
      const document = barChart({ title: 'a & b', unit: 'operations/s', logarithmic, groups })
      // The background, two in the legend, three bars.
      expect(count(mustBeSound(document), 'rect')).toBe(6)
      expect(document.split(`fill="${PALETTE[1]}"`)).toHaveLength(1 + 3)
      expect(document).toContain('>18.8k<')
    }
  })

  test('nothing, zero, one value and no number at all are drawn', () => {
    for (const logarithmic of [undefined, true]) {
      const draw = (...values: number[]): string =>
        barChart({
          title: '',
          unit: '',
          logarithmic,
          groups: [{ name: 'x', bars: values.map((v, i) => bar(`${i}`, v)) }],
        })
      for (const document of [draw(), draw(0), draw(0, 0), draw(5), draw(Number.NaN, 1), draw(-3, 2)])
        mustBeSound(document)
      mustBeSound(barChart({ title: '', unit: '', logarithmic, groups: [] }))
    }
  })
})

describe('lines', () => {
  const axis = (logarithmic: boolean) => ({ label: 'a "label"', logarithmic })
  const draw = (logarithmic: boolean, series: readonly LineSeries[]): string =>
    lineChart({ title: 't', x: axis(logarithmic), y: axis(logarithmic), y2: axis(logarithmic), series })

  test('a line and a mark for each point; the right axis is said in the legend', () => {
    const points = [
      [1, 10],
      [4, 30],
      [16, 90],
    ] as const
    const document = draw(true, [
      { name: 'put', points },
      { name: 'p99', axis: 'y2', points },
    ])
    const names = mustBeSound(document)
    expect(count(names, 'polyline')).toBe(2)
    // Three points and one in the legend for each series; both have the first mark.
    expect(count(names, 'polygon')).toBe(8)
    expect(document).toContain('p99 (right axis)')
    expect(document).toContain('stroke-dasharray')
  })

  test('nothing, zero, one point and no number at all are drawn', () => {
    const cases: LineSeries['points'][] = [
      [],
      [[0, 0]],
      [[3, 3]],
      [[1, Number.NaN]],
      [
        [0, 5],
        [1, 0],
        [2, 2],
      ],
      [
        [2, 2],
        [2, 2],
      ],
    ]
    for (const logarithmic of [false, true]) {
      mustBeSound(draw(logarithmic, []))
      for (const points of cases)
        mustBeSound(
          draw(logarithmic, [
            { name: 'a', points },
            { name: 'b', axis: 'y2', points },
          ]),
        )
    }
  })

  test('ticks of x are the points, and none touches the next', () => {
    const points = [1, 2, 1000, 1001].map((at) => [at, at] as const)
    const document = lineChart({ title: 't', x: axis(false), y: axis(false), series: [{ name: 'a', points }] })
    const texts = [...document.matchAll(/text-anchor="middle">([^<]+)</g)].map((found) => found[1])
    expect(texts).toContain('1')
    expect(texts).not.toContain('2')
  })
})
