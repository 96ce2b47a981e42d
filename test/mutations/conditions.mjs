// Faults in conditions, sums and previous values.

const RECORDED = 'test/elastic/recorded.test.ts'
const STATE_MACHINE = 'node-go/fsm/conditional_test.go'
const NEW_SHARD = 'node-go/replica/new_shard_test.go'

export const CONDITIONS = [
  {
    name: 'expected-ignored',
    says: 'a compare-and-set takes any value for the expected one',
    file: 'node-go/fsm/conditional.go',
    find: '(before.version == 0 || !bytes.Equal(before.value, c.Expected)):',
    replace: '(before.version == 0 || !bytes.Equal(before.value, before.value)):',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestCompareAndSet/,
  },
  {
    name: 'increment-twice',
    says: 'an increment adds twice, and tells the sum of once',
    file: 'node-go/fsm/conditional.go',
    find: 'value: formatNumber(result.Value), ',
    replace: 'value: formatNumber(result.Value + by), ',
    test: RECORDED,
    shows: /no order of its/,
  },
  {
    name: 'version-ignored',
    says: 'a write takes place whatever the version is that it asks for',
    file: 'node-go/fsm/write.go',
    find: '\tif ifVersion != nil && *ifVersion != before.version {',
    replace: '\tif ifVersion != nil && *ifVersion == 1<<63 {',
    test: RECORDED,
    shows: /no order of its/,
  },
  {
    name: 'previous-of-the-engine',
    says: 'what a write gives back is what was there before the entry, whatever the entry has written since',
    file: 'node-go/fsm/write.go',
    find: '\tbefore, known := w.written[string(key)]\n',
    replace: '\tbefore, known := w.written[string(key)]\n\tknown = known && before.grown\n',
    test: STATE_MACHINE,
    shows: /--- FAIL/,
  },
  {
    name: 'previous-forgotten',
    says: 'a node that starts does not know any more what its writes have given back',
    file: 'node-go/fsm/session_rows.go',
    find: '\t\ta.result.Previous = previous\n',
    replace: '',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestARepeatedCondition/,
  },
  {
    name: 'overflow-wraps',
    says: 'a sum that is no int64 becomes another number',
    file: 'node-go/fsm/conditional.go',
    find: '\tif by > 0 && number > math.MaxInt64-by ||',
    replace: '\tif by > 0 && number == math.MaxInt64 && by < 0 ||',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestIncrement/,
  },
  {
    name: 'format-raised-unasked',
    says: 'a shard that is not new begins with the newest format',
    file: 'node-go/replica/open.go',
    find: ' && r.fsm.LogTimeMs() == 0 {',
    replace: ' {',
    test: NEW_SHARD,
    shows: /--- FAIL: TestAnOlderShard/,
  },
]
