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
  {
    name: 'shard-of-another-life',
    says: 'a shard that was taken away and added again is taken for the one that a token is of',
    file: 'orchestrator/store/watch/line.ts',
    find: 'one.id === shard && (one.incarnation ?? 0) === incarnation',
    replace: 'one.id === shard',
    test: 'orchestrator/store/watch/cluster-watch.test.ts',
    shows: /is not the one of the token/,
  },
  {
    name: 'entry-not-awaited',
    says: 'a watch in the middle of an entry begins before the replica has the entry',
    file: 'node-go/server/watch.go',
    find: 'begun && !tail.Before(w.at)',
    replace: 'begun && w.at.Index <= tail.Index',
    test: 'node-go/server/watch_test.go',
    only: 'TestAPositionThatIsNotReachedYetIsWaitedFor',
    shows: /TestAPositionThatIsNotReachedYetIsWaitedFor/,
  },
  {
    name: 'last-event-id-ignored',
    says: 'an EventSource that comes back begins where its address says',
    file: 'orchestrator/http/watch.ts',
    find: "last === undefined || last === '' ? from : String(last)",
    replace: 'from ?? String(last)',
    test: 'orchestrator/http/watch.test.ts',
    shows: /connects again goes on behind its last event/,
  },
  {
    name: 'stalled-stream-stays',
    says: 'a client that takes nothing of its stream keeps it for ever',
    file: 'orchestrator/http/stream.ts',
    find: 'clock.setTimeout(() => response.destroy(), STALLED_MS)',
    replace: 'clock.setTimeout(() => undefined, STALLED_MS)',
    test: 'orchestrator/http/watch.test.ts',
    shows: /who does not read is told no more/,
  },
]
