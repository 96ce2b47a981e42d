// Faults in leases.

const STATE_MACHINE = 'node-go/fsm/lease_test.go'
const MODEL = 'node-go/fsm/lease_model_test.go'
const MOVE = 'node-go/move/lease_test.go'

export const LEASES = [
  {
    name: 'keep-alive-forgotten',
    says: 'a keep-alive is answered, and renews nothing',
    file: 'node-go/fsm/lease.go',
    find: 'change(l, func() { l.expiry = max(l.expiry, w.f.due(l.ttlMs)) })',
    replace: 'change(l, func() {})',
    test: STATE_MACHINE,
    only: 'TestALeaseEndsWhenNobody',
    shows: /--- FAIL: TestALeaseEndsWhenNobody/,
  },
  {
    name: 'lease-taken-when-gone',
    says: 'a key is put into a lease that is gone where the key is',
    file: 'node-go/fsm/lease.go',
    find: 'l == nil || !l.live.has(number) {',
    replace: 'l == nil {',
    test: STATE_MACHINE,
    only: 'TestNothingIsPutIntoALease',
    shows: /--- FAIL: TestNothingIsPutIntoALease/,
  },
  {
    name: 'lease-kept-in-part',
    says: 'a keep-alive that finds some of the parts renews these and says that all is well',
    file: 'node-go/fsm/lease.go',
    find: 'l == nil || !l.live.covers(asked) {',
    replace: 'l == nil || asked.empty() {',
    test: MODEL,
    only: 'TestLeasesAgainstModel',
    shows: /--- FAIL: TestLeasesAgainstModel/,
  },
  {
    name: 'lease-not-moved',
    says: 'keys move, and what their lease has in their partitions does not',
    file: 'node-go/move/exporter.go',
    find: '\tfor _, l := range x.Leases() {\n',
    replace: '\tfor _, l := range x.Leases()[:0] {\n',
    test: MOVE,
    only: 'TestLeasesMove',
    shows: /--- FAIL: TestLeasesMove/,
  },
  {
    name: 'lease-row-left',
    says: 'a lease without parts keeps its row',
    file: 'node-go/fsm/lease_rows.go',
    find: '\t\t\tbatch.Delete(leaseKey(l.id))\n',
    replace: '',
    test: STATE_MACHINE,
    only: 'TestNothingIsPutIntoALease',
    shows: /--- FAIL: TestNothingIsPutIntoALease/,
  },
  {
    name: 'mortals-to-an-older-version',
    says: 'keys that end by themselves are sent to a node that would keep them for ever',
    file: 'node-go/move/exporter.go',
    find: 'if p.format >= fsmcommand.FormatOfTTL {',
    replace: 'if p.format+fsmcommand.FormatOfTTL > 0 {',
    test: 'node-go/move/ttl_test.go',
    only: 'TestWhatEndsByItselfIsNotSentToWhoWouldKeepIt',
    shows: /--- FAIL: TestWhatEndsByItself/,
  },
]
