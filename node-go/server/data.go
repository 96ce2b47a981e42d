package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// batch is one message's operations on their way through the node. Each gets exactly one result.
type batch struct {
	options    Options
	operations []*kvorumv1.Operation
	sessions   []*kvorumv1.Session
	deadline   time.Time
	hold       *replica.Hold
	results    []*kvorumv1.Result
	// gets and bytes count the values in the answer so far, or that there is room for; noRoom says why there is room for no more.
	gets   int
	bytes  int
	noRoom string
	// full is told when there is no room for an answer.
	full func()
}

// execute answers the operations of one message, which are concurrent with each other: writes go through Raft while
// reads are confirmed.
func (o Options) execute(ctx context.Context, request *kvorumv1.BatchRequest, deadline time.Time, hold *replica.Hold, full func()) []*kvorumv1.Result {
	b := &batch{
		options: o, operations: request.Operations, sessions: request.Sessions, deadline: deadline, hold: hold, full: full,
		results: make([]*kvorumv1.Result, len(request.Operations)),
	}
	target, err := o.Node.Replica()
	if err != nil {
		b.failAll(err)
		return b.results
	}
	reads, stale, pages, writes := b.split()
	writes = b.reserve(writes)
	var arrived time.Time
	if len(stale) > 0 {
		arrived = o.Clock.Now()
	}
	var writing sync.WaitGroup
	if len(writes) > 0 && len(reads)+len(stale)+len(pages) > 0 {
		writing.Go(func() { b.write(ctx, target, writes) })
	} else if len(writes) > 0 {
		b.write(ctx, target, writes)
	}
	if len(reads) > 0 {
		b.read(ctx, target, reads)
	}
	if len(stale) > 0 {
		b.staleRead(ctx, target, stale, arrived)
	}
	if len(pages) > 0 {
		b.page(ctx, target, pages)
	}
	writing.Wait()
	return b.results
}

func (b *batch) failAll(err *kverr.Error) {
	for i := range b.results {
		b.results[i] = b.options.failed(err)
	}
}

func (b *batch) fail(positions []int, err *kverr.Error) {
	for _, i := range positions {
		b.results[i] = b.options.failed(err)
	}
}

// split answers what is over a limit, and gives the positions of the rest.
func (b *batch) split() (reads, stale, pages, writes []int) {
	for i, op := range b.operations {
		if err := b.check(op); err != nil {
			b.results[i] = b.options.failed(err)
			continue
		}
		switch kind := op.Kind.(type) {
		case *kvorumv1.Operation_Get:
			if kind.Get.GetStaleMs() > 0 {
				stale = append(stale, i)
			} else {
				reads = append(reads, i)
			}
		case *kvorumv1.Operation_TtlOf:
			reads = append(reads, i)
		case *kvorumv1.Operation_Page:
			pages = append(pages, i)
		default:
			writes = append(writes, i)
		}
	}
	return reads, stale, pages, writes
}

// reserve makes room in the answer for the values that writes will give back, which cannot be refused once they are applied. It
// answers those for which there is none, and gives the rest.
func (b *batch) reserve(writes []int) []int {
	return slices.DeleteFunc(writes, func(i int) bool {
		bytes := returned(b.operations[i])
		switch {
		case bytes == 0:
			return false
		case b.gets > 0 && b.bytes+bytes > b.options.Limits.MaxMessageBytes-answerSlack:
			b.results[i] = b.options.failed(replica.Overloaded("the answer to this message is full: ask for less at once", 0))
			return true
		case !b.hold.Grow(int64(bytes)):
			b.results[i] = b.options.failed(replica.Overloaded("the node holds as many bytes as it may", 0))
			b.full()
			return true
		}
		b.gets++
		b.bytes += bytes
		return false
	})
}

// check says why an operation cannot be done at all; nil when it can.
func (b *batch) check(op *kvorumv1.Operation) *kverr.Error {
	if err := b.options.Limits.check(op); err != nil {
		return err
	}
	switch number := op.Session; {
	case number == 0 && op.Sequence == 0:
		return nil
	case number == 0:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "write %d of no session", op.Sequence)
	case number > uint32(len(b.sessions)) || op.Sequence == 0:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
			"write %d of session %d, but the message has %d sessions and numbers begin at 1", op.Sequence, number, len(b.sessions))
	case len(b.sessions[number-1].Id) != fsmcommand.SessionIDBytes:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a session's id has %d bytes", fsmcommand.SessionIDBytes)
	case !isWrite(op):
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "only a write is part of a session")
	default:
		return nil
	}
}

func (b *batch) write(ctx context.Context, target Replica, positions []int) {
	batch := &command.WriteBatch{Writes: make([]*command.Write, len(positions)), Sessions: make([]*command.Session, len(b.sessions))}
	for n, i := range positions {
		batch.Writes[n] = b.options.Limits.toWrite(b.operations[i])
	}
	for n, said := range b.sessions {
		batch.Sessions[n] = &command.Session{Id: said.Id, Floor: said.Floor}
	}
	for n, result := range target.Write(ctx, batch, b.deadline, b.hold) {
		i := positions[n]
		b.results[i] = b.options.toResult(result)
	}
}

// read answers gets after one confirmation for all.
func (b *batch) read(ctx context.Context, target Replica, positions []int) {
	if err := target.Confirm(ctx, b.deadline); err != nil {
		b.fail(positions, err)
		return
	}
	b.get(target, positions)
}

// get reads what is here now. What does not fit into the answer or the byte budget is answered OVERLOADED, except the
// message's first, so that every try makes progress.
func (b *batch) get(target Replica, positions []int) {
	for _, i := range positions {
		if b.noRoom != "" {
			// Not even read: it would be for nothing.
			b.results[i] = b.options.failed(replica.Overloaded(b.noRoom, 0))
			continue
		}
		result, bytes := b.getOne(target, b.operations[i])
		switch {
		case b.gets > 0 && b.bytes+bytes > b.options.Limits.MaxMessageBytes-answerSlack:
			b.noRoom = "the answer to this message is full: ask for less at once"
		case !b.hold.Grow(int64(bytes)):
			b.noRoom = "the node holds as many bytes as it may"
			b.full()
		default:
			b.gets++
			b.bytes += bytes
			b.results[i] = result
			continue
		}
		b.results[i] = b.options.failed(replica.Overloaded(b.noRoom, 0))
	}
}

func (b *batch) getOne(target Replica, op *kvorumv1.Operation) (*kvorumv1.Result, int) {
	if ask := op.GetTtlOf(); ask != nil {
		return b.ttlOf(target, ask.Key)
	}
	key := op.GetGet().Key
	record, found, err := target.Get(key)
	if err != nil {
		result := b.options.failed(readError(err))
		return result, proto.Size(result)
	}
	response := &kvorumv1.GetResponse{Found: found}
	if found {
		response.Value, response.Version, response.TtlMs = record.Value, record.Version, ttlOf(target, record)
	}
	return &kvorumv1.Result{Kind: &kvorumv1.Result_Get{Get: response}}, len(record.Value) + operationOverhead
}

func (l Limits) toWrite(op *kvorumv1.Operation) *command.Write {
	write := &command.Write{Session: op.Session, Sequence: op.Sequence}
	switch kind := op.Kind.(type) {
	case *kvorumv1.Operation_Put:
		write.Kind = &command.Write_Put{Put: l.toPut(kind.Put)}
	case *kvorumv1.Operation_MortalPut:
		write.Kind = &command.Write_Put{Put: l.toPut(kind.MortalPut)}
	case *kvorumv1.Operation_Delete:
		write.Kind = &command.Write_Delete{Delete: toDelete(kind.Delete)}
	case *kvorumv1.Operation_Append:
		write.Kind = &command.Write_Append{Append: l.toAppend(kind.Append)}
	case *kvorumv1.Operation_CompareAndSet:
		cas := kind.CompareAndSet
		write.Kind = &command.Write_CompareAndSet{CompareAndSet: &command.CompareAndSet{Key: cas.Key, Expected: cas.Expected, Value: cas.Value}}
	case *kvorumv1.Operation_Increment:
		write.Kind = &command.Write_Increment{Increment: &command.Increment{Key: kind.Increment.Key, By: kind.Increment.By}}
	case *kvorumv1.Operation_Transaction:
		write.Kind = &command.Write_Transaction{Transaction: l.toTransaction(kind.Transaction)}
	case *kvorumv1.Operation_Touch:
		write.Kind = &command.Write_Touch{Touch: &command.Touch{Key: kind.Touch.Key, TtlMs: kind.Touch.GetTtlMs()}}
	case *kvorumv1.Operation_GrantLease, *kvorumv1.Operation_KeepAlive, *kvorumv1.Operation_RevokeLease:
		toLeaseWrite(op, write)
	case *kvorumv1.Operation_OpenSession:
		expiry := kind.OpenSession.ExpiryMs
		if expiry == 0 {
			expiry = defaultSessionExpiryMs
		}
		write.Kind = &command.Write_Open{Open: &command.OpenSession{Nonce: kind.OpenSession.Nonce, ExpiryMs: expiry}}
	}
	return write
}

func (l Limits) toPut(put *kvorumv1.PutRequest) *command.Put {
	return &command.Put{
		Key: put.Key, Value: put.Value, IfVersion: put.IfVersion, ReturnPrevious: put.GetReturnPrevious(), TtlMs: put.GetTtlMs(),
		Lease: put.Lease,
	}
}

func toDelete(remove *kvorumv1.DeleteRequest) *command.Delete {
	return &command.Delete{Key: remove.Key, IfVersion: remove.IfVersion, ReturnPrevious: remove.GetReturnPrevious()}
}

func (l Limits) toAppend(add *kvorumv1.AppendRequest) *command.Append {
	return &command.Append{Key: add.Key, Value: add.Value, Limit: uint32(l.MaxValueBytes)}
}

func (o Options) toResult(result fsm.Result) *kvorumv1.Result {
	if result.Err != nil {
		return o.failed(result.Err)
	}
	switch result.Kind {
	case fsm.KindPut:
		answer := &kvorumv1.PutResponse{Version: result.Version, Previous: toPrevious(result.Previous)}
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Put{Put: answer}}
	case fsm.KindAppend:
		answer := &kvorumv1.AppendResponse{Version: result.Version, Length: result.Length}
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Append{Append: answer}}
	case fsm.KindCompareAndSet:
		answer := &kvorumv1.CompareAndSetResponse{Version: result.Version}
		return &kvorumv1.Result{Kind: &kvorumv1.Result_CompareAndSet{CompareAndSet: answer}}
	case fsm.KindIncrement:
		answer := &kvorumv1.IncrementResponse{Value: result.Value, Version: result.Version}
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Increment{Increment: answer}}
	case fsm.KindTransaction:
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Transaction{Transaction: toTransactionResponse(result.Transaction)}}
	case fsm.KindTouch:
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Touch{Touch: &kvorumv1.TouchResponse{Existed: result.Existed}}}
	case fsm.KindGrantLease, fsm.KindKeepAlive, fsm.KindRevokeLease:
		return toLeaseResult(result)
	case fsm.KindOpen:
		return &kvorumv1.Result{Kind: &kvorumv1.Result_OpenSession{OpenSession: &kvorumv1.OpenSessionResponse{Id: result.Session[:]}}}
	default:
		answer := &kvorumv1.DeleteResponse{Existed: result.Existed, Previous: toPrevious(result.Previous)}
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Delete{Delete: answer}}
	}
}

func toPrevious(previous *fsm.Previous) *kvorumv1.Previous {
	if previous == nil {
		return nil
	}
	return &kvorumv1.Previous{Value: previous.Value, Version: previous.Version}
}
