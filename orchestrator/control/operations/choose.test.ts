import { expect, test } from 'vitest'
import { seededRng } from '../../core/rng.js'
import { type Candidate, chooseLeaver } from './choose.js'

const rng = seededRng(5)
const pick = (count: number) => Math.floor(rng.float() * count)

/** A group at random, and the nodes of all groups on its machines. */
function sceneAt(): { readonly members: readonly Candidate[]; readonly nodesOn: ReadonlyMap<string, number> } {
  const machines = ['a', 'b', 'c', 'd'].slice(0, 1 + pick(4))
  const size = 1 + pick(7)
  const leader = pick(size + 1)
  const members = Array.from({ length: size }, (_, at) => ({
    index: at + 1,
    machine: machines[pick(machines.length)] ?? 'a',
    leads: at === leader,
    answers: at === leader || pick(4) > 0,
    drained: pick(3) === 0,
  }))
  return { members, nodesOn: new Map(machines.map((machine) => [machine, size + pick(20)])) }
}

test('of any group goes who is missed least', () => {
  for (let time = 0; time < 5_000; time++) {
    const { members, nodesOn } = sceneAt()
    const gone = chooseLeaver(members, nodesOn)
    if (gone === undefined) throw new Error('nobody goes')
    const others = members.filter((one) => one !== gone)
    // A vote that counts is not given up for one that does not, and nobody waits for an election without need.
    if (gone.answers) expect(members.every(({ answers }) => answers)).toBe(true)
    const alike = others.filter(({ answers }) => answers === gone.answers)
    if (!gone.drained) expect(alike.filter(({ drained }) => drained)).toEqual([])
    const asDrained = alike.filter(({ drained }) => drained === gone.drained)
    if (gone.leads) expect(asDrained).toEqual([])
    const equals = asDrained.filter(({ leads }) => leads === gone.leads)
    const beside = (one: Candidate) => members.filter(({ machine }) => machine === one.machine).length
    for (const one of equals) {
      expect(beside(one)).toBeLessThanOrEqual(beside(gone))
      if (beside(one) < beside(gone)) continue
      const [his, its] = [nodesOn.get(one.machine) ?? 0, nodesOn.get(gone.machine) ?? 0]
      expect(his).toBeLessThanOrEqual(its)
      if (his === its) expect(one.index).toBeLessThan(gone.index)
    }
    // The same question has the same answer, in whatever order it is asked.
    expect(chooseLeaver([...members].reverse(), nodesOn)).toBe(gone)
  }
})

test('of nobody nobody goes', () => {
  expect(chooseLeaver([], new Map())).toBeUndefined()
})
