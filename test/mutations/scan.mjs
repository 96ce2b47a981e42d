// Faults in scans.

const MERGE = 'orchestrator/store/scan/scan.test.ts'
const PAGES = 'node-go/fsm/page_test.go'
const MOVING = 'test/elastic/scan.test.ts'

export const SCAN = [
  {
    name: 'page-of-anything',
    says: 'a node gives a page of partitions that it does not own',
    file: 'node-go/fsm/page.go',
    find: 'if !wanted || state == Owned || state == Frozen {',
    replace: 'if !wanted || state <= Released {',
    test: MOVING,
    shows: /AssertionError/,
  },
  {
    name: 'page-after-release',
    says: 'a node does not look again whether it owns the partitions once it has its view',
    file: 'node-go/fsm/page.go',
    find: 'if f.table.Load() == before {',
    replace: 'if f.table.Load() != nil {',
    test: PAGES,
    shows: /released before the view was taken/,
  },
  {
    name: 'refetch-from-the-furthest',
    says: 'a merge goes on from the greatest key that a shard was read up to when partitions have moved',
    file: 'orchestrator/store/scan/merge.ts',
    find: 'return Buffer.compare(one, other) <= 0 ? one : other',
    replace: 'return Buffer.compare(one, other) > 0 ? one : other',
    test: MERGE,
    shows: /FAIL.*every key that is there all the time is given once/,
  },
  {
    name: 'given-before-covered',
    says: 'a merge gives keys while a shard has not said what it has before them',
    file: 'orchestrator/store/scan/merge.ts',
    find: 'while (this.#starved.length === 0 && run.length',
    replace: 'while (run.length',
    test: MERGE,
    shows: /FAIL.*merges the shards in order/,
  },
]
