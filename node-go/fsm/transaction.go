package fsm

import (
	"bytes"
	"cmp"
	"fmt"

	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Limits of a transaction. They belong to the command's format. The values in its answer are bounded by PreviousBytesMax in all,
// because a session keeps them.
const (
	// TransactionOperationsMax bounds conditions and operations together.
	TransactionOperationsMax = 128
	// TransactionBytesMax bounds the keys and values in it: it is one entry, and keeps others out of it.
	TransactionBytesMax = 512 << 10
	// transactionValuesMax bounds the values that one reads and makes by appends. It is half of what an entry may, so that one that
	// finds no room beside others finds some later.
	transactionValuesMax = lookedBytesMax / 2
)

// TransactionResult is what the branch that ran came to.
type TransactionResult struct {
	// Succeeded: every condition held, and the branch is `then`.
	Succeeded bool
	// Results of its operations, none of which has failed. That of a get is what the key was, as Previous.
	Results []Result
}

// CheckTransaction says why a transaction can never be carried out, whatever the keys are.
func CheckTransaction(t *pb.Transaction) *kverr.Error {
	switch count := len(t.GetConditions()) + len(t.GetThen()) + len(t.GetOtherwise()); {
	case count == 0:
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "the transaction has neither a condition nor an operation")
	case count > TransactionOperationsMax:
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the transaction has %d conditions and operations, the limit is %d", count, TransactionOperationsMax)
	}
	if bytes := transactionBytes(t); bytes > TransactionBytesMax {
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the transaction has %d bytes of keys and values, the limit is %d", bytes, TransactionBytesMax)
	}
	first := command.FirstKey(t)
	for key := range command.Keys(t) {
		if refused := checkKey(key); refused != nil {
			return refused
		}
		if one, other := command.Partition(first), command.Partition(key); one != other {
			return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_CROSS_SHARD,
				"the keys %.100q and %.100q of the transaction are in the partitions %d and %d: give all its keys the same hash tag, as in {user:1}name and {user:1}mail",
				first, key, one, other)
		}
	}
	return nil
}

func transactionBytes(t *pb.Transaction) int {
	sum := 0
	for key := range command.Keys(t) {
		sum += len(key)
	}
	for _, c := range t.GetConditions() {
		sum += len(c.GetValue())
	}
	for _, branch := range [][]*pb.TransactionOperation{t.GetThen(), t.GetOtherwise()} {
		for _, op := range branch {
			sum += len(op.GetPut().GetValue()) + len(op.GetAppend().GetValue())
		}
	}
	return sum
}

// transaction is one while it is carried out. Each operation sees what those before it have done, and nobody else does until all
// are done: the writer carries out one write after the other.
type transaction struct {
	w *writer
	// until is what the values that the entry's writes have read and made may come to.
	until int
	// returned counts the bytes of the values in the answer.
	returned int
}

// transact carries out all of a branch, or nothing.
func (w *writer) transact(t *pb.Transaction) (Result, error) {
	result := Result{Kind: KindTransaction}
	if result.Err = CheckTransaction(t); result.Err != nil {
		return result, nil
	}
	number := command.Partition(command.FirstKey(t))
	if state := w.f.state.partitions[number].State; state != Owned {
		result.Err = w.f.elsewhere(number, state, w.f.state.epoch)
		return result, nil
	}
	x := &transaction{w: w, until: w.looked + w.appended + transactionValuesMax}
	succeeded, refused, err := x.holds(t.GetConditions())
	if err != nil || refused != nil {
		result.Err = refused
		return result, err
	}
	name, branch, before := "then", t.GetThen(), 0
	if !succeeded {
		name, branch, before = "else", t.GetOtherwise(), len(t.GetThen())
	}
	w.undo = newUndo(w, number)
	defer func() { w.undo = nil }()
	answer := &TransactionResult{Succeeded: succeeded, Results: make([]Result, len(branch))}
	for i, op := range branch {
		if answer.Results[i], err = x.do(op); err != nil {
			return result, err
		}
		if failed := answer.Results[i].Err; failed != nil {
			w.undo.all(w)
			result.Err = failedAt(failed, uint32(before+i+1), fmt.Sprintf("operation %d of %q", i+1, name))
			return result, w.tellVersion(result.Err, command.KeyOf(op))
		}
	}
	result.Transaction = answer
	return result, nil
}

// failedAt is the failure of a transaction by one of its operations. What is about the moment is about nobody's operation.
func failedAt(failed *kverr.Error, operation uint32, name string) *kverr.Error {
	if ofTheMoment(failed) {
		return failed
	}
	whole := *failed
	whole.Operation = operation
	whole.Message = name + ": " + failed.Message
	return &whole
}

// tellVersion corrects what a refusal says of the key: the version that the transaction had given it is another write's now.
func (w *writer) tellVersion(refused *kverr.Error, key []byte) error {
	if refused.Version == 0 {
		return nil
	}
	now, err := w.versionNow(key)
	if err != nil {
		return err
	}
	if now != refused.Version {
		refused.Message += fmt.Sprintf(" (by the transaction's own writes, which were undone: it is %d)", now)
	}
	refused.Version = now
	return nil
}

// holds says whether every condition does. A refusal is that of the transaction.
func (x *transaction) holds(conditions []*pb.Condition) (bool, *kverr.Error, error) {
	for _, c := range conditions {
		if refused := x.spent(); refused != nil {
			return false, refused, nil
		}
		holds, refused, err := x.compare(c)
		if err != nil || refused != nil || !holds {
			return false, refused, err
		}
	}
	return true, nil, nil
}

func (x *transaction) compare(c *pb.Condition) (bool, *kverr.Error, error) {
	equal, order := false, 0
	switch operand := c.GetOperand().(type) {
	case *pb.Condition_Value:
		now, refused, err := x.w.admitValue(c.GetKey(), nil)
		if err != nil || refused != nil {
			return false, refused, err
		}
		equal = now.version > 0 && bytes.Equal(now.value, operand.Value)
	default:
		now, refused, err := x.w.admit(c.GetKey(), nil, x.w.version)
		if err != nil || refused != nil {
			return false, refused, err
		}
		order = cmp.Compare(now.version, c.GetVersion())
		equal = order == 0
		if exists, isExists := operand.(*pb.Condition_Exists); isExists {
			equal = (now.version > 0) == exists.Exists
		}
	}
	switch c.GetComparison() {
	case pb.Condition_COMPARISON_EQUAL:
		return equal, nil, nil
	case pb.Condition_COMPARISON_NOT_EQUAL:
		return !equal, nil, nil
	case pb.Condition_COMPARISON_LESS:
		return order < 0, nil, nil
	default:
		return order > 0, nil, nil
	}
}

func (x *transaction) do(op *pb.TransactionOperation) (Result, error) {
	if refused := x.spent(); refused != nil {
		return Result{Err: refused}, nil
	}
	switch kind := op.GetKind().(type) {
	case *pb.TransactionOperation_Get:
		return x.get(kind.Get)
	case *pb.TransactionOperation_Put:
		return x.w.put(kind.Put)
	case *pb.TransactionOperation_Delete:
		return x.w.delete(kind.Delete)
	case *pb.TransactionOperation_Append:
		return x.w.append(kind.Append)
	default:
		return x.w.increment(op.GetIncrement())
	}
}

func (x *transaction) get(g *pb.Get) (Result, error) {
	now, refused, err := x.w.admitValue(g.GetKey(), nil)
	if err != nil || refused != nil {
		return Result{Kind: KindGet, Err: refused}, err
	}
	if x.returned += len(now.value); x.returned > PreviousBytesMax {
		return Result{Kind: KindGet, Err: kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the values in the answer of a transaction have at most %d bytes in all, and those up to here have %d", PreviousBytesMax, x.returned)}, nil
	}
	result := Result{Kind: KindGet, Previous: now.previous()}
	if now.expiry > 0 {
		left := Left(now.expiry, x.w.f.state.head.logTimeMs)
		result.Left = &left
	}
	return result, nil
}

// spent refuses a transaction that would need more room than is left to anybody in an entry: it would come again for ever.
func (x *transaction) spent() *kverr.Error {
	if x.w.looked+x.w.appended <= x.until {
		return nil
	}
	return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE,
		"a transaction reads, and makes by appends, at most %d bytes of values", transactionValuesMax)
}

// undo is how a writer was when a transaction began to write. Its keys are all in one partition, so that it is one floor at most.
type undo struct {
	keys      int
	overwrote map[string]written
	partition uint16
	floor     uint64
	raised    bool
	order     int
	changes   int
}

func newUndo(w *writer, number uint16) *undo {
	return &undo{
		keys: len(w.keys), overwrote: make(map[string]written),
		partition: number, floor: w.f.state.partitions[number].floor, raised: w.raised[number], order: len(w.order),
		changes: len(w.f.changes),
	}
}

// note is told of each key that an earlier write of the entry has written, and is written again.
func (u *undo) note(key string, before written) {
	if _, noted := u.overwrote[key]; !noted {
		u.overwrote[key] = before
	}
}

// all leaves no trace of what was written since.
func (u *undo) all(w *writer) {
	for key, before := range u.overwrote {
		w.written[key] = before
	}
	// These were new in the entry, whatever was noted of them afterwards.
	for _, key := range w.keys[u.keys:] {
		delete(w.written, key)
	}
	w.keys = w.keys[:u.keys]
	w.f.state.partitions[u.partition].floor = u.floor
	w.raised[u.partition] = u.raised
	w.order = w.order[:u.order]
	w.f.changes = w.f.changes[:u.changes]
}
