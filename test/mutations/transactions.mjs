// Faults in transactions.

const RECORDED = 'test/elastic/recorded.test.ts'
const STATE_MACHINE = 'node-go/fsm/transaction_test.go'

export const TRANSACTIONS = [
  {
    name: 'transaction-halved',
    says: 'the last write of a transaction that changes two keys is answered, and not done',
    file: 'node-go/fsm/transaction.go',
    find: '\tresult.Transaction = answer\n',
    replace:
      '\tif result.Transaction = answer; len(w.keys) > w.undo.keys+1 {\n\t\tdelete(w.written, w.keys[len(w.keys)-1])\n\t\tw.keys = w.keys[:len(w.keys)-1]\n\t}\n',
    test: RECORDED,
    shows: /of which nothing was ever paid in/,
  },
  {
    name: 'transaction-condition-ignored',
    says: 'a transaction takes any value for the one that its condition asks for',
    file: 'node-go/fsm/transaction.go',
    find: '\t\tequal = now.version > 0 && bytes.Equal(now.value, operand.Value)\n',
    replace: '\t\tequal = now.version > 0 || bytes.Equal(now.value, operand.Value)\n',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestConditionsOfATransaction/,
  },
  {
    name: 'transaction-not-undone',
    says: 'what a transaction has written before one of its operations failed stays',
    file: 'node-go/fsm/transaction.go',
    find: '\t\t\tw.undo.all(w)\n',
    replace: '',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestAFailedTransaction/,
  },
  {
    name: 'transaction-floor-stays',
    says: 'a delete that was taken back leaves its trace in the versions of new keys',
    file: 'node-go/fsm/transaction.go',
    find: '\tw.f.state.partitions[u.partition].floor = u.floor\n',
    replace: '',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestAFailedTransaction/,
  },
  {
    name: 'transaction-forgotten',
    says: 'a node that starts does not know any more what its transactions came to',
    file: 'node-go/fsm/session_rows.go',
    find: '\tto = a.result.Previous.encode(to)\n\treturn a.result.Transaction.encode(to)\n',
    replace: '\treturn a.result.Previous.encode(to)\n',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestARepeatedTransaction/,
  },
  {
    name: 'transaction-carried-out-again',
    says: 'the answer of a transaction is not kept, and its copy is carried out',
    file: 'node-go/fsm/write.go',
    find: '\tif err == nil && !ofTheMoment(result.Err) {\n',
    replace: '\tif err == nil && !ofTheMoment(result.Err) && result.Transaction == nil {\n',
    test: STATE_MACHINE,
    shows: /--- FAIL: TestARepeatedTransaction/,
  },
]
