package server

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// batch is one message's operations on their way through the node. Each gets exactly one result.
type batch struct {
	options    Options
	operations []*kvorumv1.Operation
	deadline   time.Time
	hold       *replica.Hold
	results    []*kvorumv1.Result
}

// execute answers the operations of one message, which are concurrent with each other: writes go through Raft while
// reads are confirmed.
func (o Options) execute(ctx context.Context, operations []*kvorumv1.Operation, deadline time.Time, hold *replica.Hold) []*kvorumv1.Result {
	b := &batch{
		options: o, operations: operations, deadline: deadline, hold: hold,
		results: make([]*kvorumv1.Result, len(operations)),
	}
	target, err := o.Node.Replica()
	if err != nil {
		b.failAll(err)
		return b.results
	}
	reads, writes := b.split()
	var writing sync.WaitGroup
	if len(writes) > 0 && len(reads) > 0 {
		writing.Go(func() { b.write(ctx, target, writes) })
	} else if len(writes) > 0 {
		b.write(ctx, target, writes)
	}
	if len(reads) > 0 {
		b.read(ctx, target, reads)
	}
	writing.Wait()
	return b.results
}

func (b *batch) failAll(err *kverr.Error) {
	for i := range b.results {
		b.results[i] = b.options.failed(err)
	}
}

// split answers what is over a limit, and gives the positions of the rest.
func (b *batch) split() (reads, writes []int) {
	for i, op := range b.operations {
		if err := b.options.Limits.check(op); err != nil {
			b.results[i] = b.options.failed(err)
			continue
		}
		if _, ok := op.Kind.(*kvorumv1.Operation_Get); ok {
			reads = append(reads, i)
		} else {
			writes = append(writes, i)
		}
	}
	return reads, writes
}

func (b *batch) write(ctx context.Context, target Replica, positions []int) {
	writes := make([]*command.Write, len(positions))
	for n, i := range positions {
		writes[n] = toWrite(b.operations[i])
	}
	for n, result := range target.Write(ctx, writes, b.deadline, b.hold) {
		i := positions[n]
		b.results[i] = b.options.toResult(b.operations[i], result)
	}
}

// read answers gets after one confirmation for all. What does not fit into the answer or the byte budget is answered
// OVERLOADED, except the first, so that every try makes progress.
func (b *batch) read(ctx context.Context, target Replica, positions []int) {
	if err := target.Confirm(ctx, b.deadline); err != nil {
		for _, i := range positions {
			b.results[i] = b.options.failed(err)
		}
		return
	}
	size := 0
	for n, i := range positions {
		result, bytes := b.get(target, b.operations[i].GetGet().Key)
		if n > 0 && size+bytes > b.options.Limits.MaxMessageBytes-answerSlack {
			result = b.options.failed(replica.Overloaded("the answer to this message is full: ask for less at once"))
			bytes = proto.Size(result)
		} else if !b.hold.Grow(int64(bytes)) {
			result = b.options.failed(replica.Overloaded("the node holds as many bytes as it may"))
			bytes = 0
		}
		size += bytes
		b.results[i] = result
	}
}

func (b *batch) get(target Replica, key []byte) (*kvorumv1.Result, int) {
	record, found, err := target.Get(key)
	if err != nil {
		result := b.options.failed(readError(err))
		return result, proto.Size(result)
	}
	response := &kvorumv1.GetResponse{Found: found}
	if found {
		response.Value, response.Version = record.Value, record.Version
	}
	return &kvorumv1.Result{Kind: &kvorumv1.Result_Get{Get: response}}, len(record.Value) + operationOverhead
}

func toWrite(op *kvorumv1.Operation) *command.Write {
	if put := op.GetPut(); put != nil {
		return &command.Write{Kind: &command.Write_Put{
			Put: &command.Put{Key: put.Key, Value: put.Value, IfVersion: put.IfVersion},
		}}
	}
	remove := op.GetDelete()
	return &command.Write{Kind: &command.Write_Delete{
		Delete: &command.Delete{Key: remove.Key, IfVersion: remove.IfVersion},
	}}
}

func (o Options) toResult(op *kvorumv1.Operation, result fsm.Result) *kvorumv1.Result {
	switch {
	case result.Err != nil:
		return o.failed(result.Err)
	case op.GetPut() != nil:
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Put{Put: &kvorumv1.PutResponse{Version: result.Version}}}
	default:
		return &kvorumv1.Result{Kind: &kvorumv1.Result_Delete{Delete: &kvorumv1.DeleteResponse{Existed: result.Existed}}}
	}
}
