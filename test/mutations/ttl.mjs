// Faults in times to live.

const CLUSTER = 'test/api/ttl.test.ts'
const STATE_MACHINE = 'node-go/fsm/expiry_test.go'

export const TTL = [
  {
    name: 'expires-too-early',
    says: 'the state machine deletes what the leader names, due or not',
    file: 'node-go/fsm/expiry.go',
    find: 'if at == 0 || at > f.state.head.logTimeMs || ',
    replace: 'if at == 0 || ',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestOnlyWhatIsDueExpires/,
  },
  {
    name: 'expires-at-half-time',
    says: 'a key lives for half as long as it was to',
    file: 'node-go/fsm/expiry.go',
    find: '\treturn f.state.head.logTimeMs + ttlMs\n',
    replace: '\treturn f.state.head.logTimeMs + ttlMs/2\n',
    test: CLUSTER,
    shows: /to be greater than or equal to 400/,
  },
  {
    name: 'expiry-row-left',
    says: 'a later write leaves the expiry row of an earlier one',
    file: 'node-go/fsm/expiry.go',
    find: '\t\tf.batch.Delete(expiryKey(before, key))\n',
    replace: '',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestWhichWritesKeep/,
  },
  {
    name: 'touch-forgotten',
    says: 'a node that starts does not know any more what touches were answered',
    file: 'node-go/fsm/session_rows.go',
    find: 'case kind == KindDelete || kind == KindTouch:',
    replace: 'case kind == KindDelete:',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestATouchIsAnsweredOnce/,
  },
  {
    name: 'expires-while-frozen',
    says: 'a key expires in a partition that is frozen, and its receiver has it for ever',
    file: 'node-go/fsm/expiry.go',
    find: ' || f.state.partitions[number].State != Owned {\n\t\t\tcontinue',
    replace: ' {\n\t\t\tcontinue',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestNothingExpiresWhile/,
  },
]
