package replica

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"kvorum/node/gen/command"
)

// An entry is bounded by what its writes are said to take.
func TestATransactionTakesWhatItHolds(t *testing.T) {
	put := &command.Put{Key: []byte("{a}k"), Value: []byte(strings.Repeat("x", 4000))}
	condition := &command.Condition{Key: []byte("{a}k"), Comparison: 1, Operand: &command.Condition_Value{Value: put.Value}}
	transaction := &command.Transaction{}
	for range 30 {
		transaction.Conditions = append(transaction.Conditions, condition)
		op := &command.TransactionOperation{Kind: &command.TransactionOperation_Put{Put: put}}
		transaction.Then, transaction.Otherwise = append(transaction.Then, op), append(transaction.Otherwise, op)
	}
	batch := &command.WriteBatch{Writes: []*command.Write{
		{Kind: &command.Write_Transaction{Transaction: transaction}, Session: 1, Sequence: 1 << 60},
	}}
	w := newWaiting(batch, time.Time{}, nil)
	if size := proto.Size(batch); w.cost(0) < size || w.queued > size+writeOverhead {
		t.Fatalf("%d bytes count as %d", size, w.cost(0))
	}
}
