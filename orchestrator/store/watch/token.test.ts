import fc from 'fast-check'
import { expect, test } from 'vitest'
import { opaqueFromText, opaqueToText } from '../../core/opaque.js'
import { InvalidArgumentError } from '../../errors/index.js'
import { decodeToken, encodeToken } from './token.js'

const partition = fc.nat({ max: 1023 })
const frontiers = fc.record({
  cluster: fc.constant('c1'),
  positions: fc
    .array(
      fc.tuple(fc.nat({ max: 70_000 }), fc.record({ index: fc.bigInt(0n, 2n ** 63n), skip: fc.nat({ max: 2 ** 31 }) })),
    )
    .map((list) => new Map(list)),
  incarnations: fc.array(fc.tuple(fc.nat({ max: 70_000 }), fc.nat())).map((list) => new Map(list)),
  released: fc.array(fc.tuple(partition, fc.bigInt(1n, 9n))).map((list) => new Map(list)),
})

test('a token says what it was made of', () => {
  fc.assert(
    fc.property(frontiers, (from) => {
      const read = decodeToken(opaqueFromText(opaqueToText(encodeToken(from))), 'c1')
      expect(read.positions).toEqual(from.positions)
      for (const [id, incarnation] of read.incarnations) expect(incarnation).toBe(from.incarnations.get(id) ?? 0)
      expect([...read.released].sort()).toEqual([...from.released].sort())
    }),
  )
})

test('it is small: three shards, and all partitions of a move on their way', () => {
  const positions = new Map([1, 2, 3].map((id) => [id, { index: 10n ** 9n, skip: 3 }]))
  const released = new Map(Array.from({ length: 300 }, (_, at) => [at, 17n]))
  expect(encodeToken({ cluster: 'c', positions, incarnations: new Map(), released }).length).toBeLessThan(40)
})

test('whatever else it is: refused', () => {
  const token = encodeToken({
    cluster: 'c1',
    positions: new Map([[1, { index: 300n, skip: 0 }]]),
    incarnations: new Map([[1, 7]]),
    released: new Map([[4, 9n]]),
  })
  expect(() => decodeToken(token, 'c2')).toThrow(InvalidArgumentError)
  expect(() => decodeToken(Uint8Array.from([...token, ...Array(32 << 10).fill(1)]), 'c1')).toThrow('it is too long')
  expect(() => decodeToken(token.subarray(0, -1), 'c1')).toThrow(InvalidArgumentError)
  expect(() => decodeToken(Uint8Array.from([...token, 1]), 'c1')).toThrow(InvalidArgumentError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        decodeToken(Uint8Array.from([...token.subarray(0, 5), ...bytes]), 'c1')
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidArgumentError)
      }
    }),
  )
})
