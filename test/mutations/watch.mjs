// Faults in watches.

const FRONTIER = 'orchestrator/store/watch/frontier.test.ts'
const RING = 'node-go/watch/ring_test.go'
const CHANGES = 'node-go/fsm/changes_test.go'

export const WATCH = [
  {
    name: 'activation-does-not-wait',
    says: 'the next owner of a partition is believed before the last one has been heard to the end',
    file: 'orchestrator/store/watch/frontier.ts',
    find: "if (numbers.some((partition) => this.#isToWait(partition, shard, epoch))) return 'wait'",
    replace: '',
    test: FRONTIER,
    shows: /each change is told once/,
  },
  {
    name: 'release-not-followed',
    says: 'a partition stays with the shard that has released it',
    file: 'orchestrator/store/watch/frontier.ts',
    find: 'if (this.#tenures[partition]?.shard === shard) this.#tenures[partition] = { shard: undefined, epoch }',
    replace: '',
    test: FRONTIER,
    shows: /each change is told once/,
  },
  {
    name: 'position-off-by-one',
    says: 'the position after the last change of an entry is inside the entry',
    file: 'node-go/watch/ring.go',
    find: '\t\treturn after(r.index)\n\t}\n\treturn Position{Index: r.index, Skip: r.place + 1}',
    replace: '\t\treturn after(r.index + 1)\n\t}\n\treturn Position{Index: r.index, Skip: r.place + 1}',
    test: RING,
    shows: /TestReadersSeeEachChangeOnce/,
  },
  {
    name: 'append-not-told',
    says: 'appends are no changes to those who watch',
    file: 'node-go/fsm/write.go',
    find: '\tw.changed(a.GetKey(), before, now)\n',
    replace: '',
    test: CHANGES,
    shows: /TestEveryWriteIsAChange/,
  },
]
