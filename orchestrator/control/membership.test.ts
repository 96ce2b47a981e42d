import { describe, expect, test } from 'vitest'
import {
  firstMembers,
  type GroupRecord,
  idAt,
  isSpent,
  joinerWith,
  mayHaveVoted,
  placesFrom,
  readGroup,
  withJoined,
  withJoiner,
  withLeaver,
  withoutLeaver,
} from './membership.js'

const three: GroupRecord = {
  shard: 2,
  members: ['a', 'b', 'c'].map((id, at) => ({ id, index: at + 1 })),
  bootstrapped: true,
  lastIndex: 3,
}

test('what an earlier version wrote is read as what it was', () => {
  expect(readGroup({ shard: 2, members: ['a', 'b', 'c'], bootstrapped: true })).toEqual(three)
  expect(readGroup(JSON.parse(JSON.stringify(three)))).toEqual(three)
})

test('the first members have the indexes of their nodes', () => {
  expect(firstMembers(2, three.members)).toEqual({ ...three, bootstrapped: false })
})

describe('a node that joins', () => {
  const joining = withJoiner(three)

  test('gets an index that no node has had, once', () => {
    expect(joining).toMatchObject({ lastIndex: 4, joining: { index: 4 } })
    expect(withJoiner(joining)).toBe(joining)
    const gone = withoutLeaver(withLeaver(three, 3))
    expect(withJoiner(gone).joining).toEqual({ index: 4 })
  })

  test('is counted on when it may vote, and is a member then', () => {
    expect(idAt(joining, 4)).toBeUndefined()
    const named = joinerWith(joining, { id: 'd' })
    expect([idAt(named, 4), mayHaveVoted(named, 4)]).toEqual(['d', false])
    const voting = joinerWith(named, { mayVote: true })
    expect([idAt(voting, 4), mayHaveVoted(voting, 4)]).toEqual(['d', true])
    const joined = withJoined(voting)
    expect(joined.members.at(-1)).toEqual({ id: 'd', index: 4 })
    expect([joined.joining, mayHaveVoted(joined, 4)]).toEqual([undefined, true])
    expect(withJoined(joined)).toEqual(joined)
  })

  test('is no member without an id', () => {
    expect(() => withJoined(joining)).toThrow('node 4 of shard 2 is to be a member and has no id')
  })
})

describe('a node that leaves', () => {
  test('is no member, and found until nothing is left of it', () => {
    const leaving = withLeaver(three, 2)
    expect(leaving.members.map(({ index }) => index)).toEqual([1, 3])
    expect([leaving.leaving, mayHaveVoted(leaving, 2)]).toEqual([2, false])
    expect(withLeaver(leaving, 2)).toEqual(leaving)
    expect(() => withLeaver(leaving, 3)).toThrow('node 2 of shard 2 has not gone yet')
    expect(withoutLeaver(leaving)).toEqual({ ...leaving, leaving: undefined })
  })

  test('may be one that never became a member', () => {
    const leaving = withLeaver(withJoiner(three), 4)
    expect(leaving).toMatchObject({ members: three.members, leaving: 4, lastIndex: 4 })
    expect(leaving.joining).toBeUndefined()
  })
})

test('a group has the nodes that are recorded, also one that joins and none that leaves; a new group as many as all', () => {
  const groups = [withLeaver(withJoiner(three), 1)]
  expect(placesFrom(1, { shards: 3, replicas: 2 }, groups)).toEqual([
    { shard: 1, index: 1 },
    { shard: 1, index: 2 },
    { shard: 2, index: 2 },
    { shard: 2, index: 3 },
    { shard: 2, index: 4 },
    { shard: 3, index: 1 },
    { shard: 3, index: 2 },
  ])
  expect(placesFrom(4, { shards: 3, replicas: 2 }, groups)).toEqual([])
})

test('the index of a node that has gone again is spent, and none that is there or to come', () => {
  const joining = withJoiner(three)
  expect(isSpent(joining, 4)).toBe(false)
  expect(isSpent(three, 4)).toBe(false)
  expect(isSpent(three, 3)).toBe(false)
  expect(isSpent(three, 0)).toBe(false)
  expect(isSpent(withLeaver(joining, 4), 4)).toBe(true)
})
