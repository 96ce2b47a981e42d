package server

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// lane is one Batch stream: a receiver, one goroutine per message, one sender.
//
// Memory is bounded: a message takes a slot before it is received and gives it back when its answer is sent, so a
// client that does not read is not read from; and its bytes are held in the node's budget for as long.
type lane struct {
	options Options
	busy    *busy
	stream  grpc.BidiStreamingServer[kvorumv1.BatchRequest, kvorumv1.BatchResponse]
	// ctx ends when the client leaves, the server stops, or sending fails.
	ctx    context.Context
	cancel context.CancelCauseFunc
	slots  chan struct{}
	// answers has room for one answer per slot: nobody who works ever waits for the sender.
	answers chan answer
}

type answer struct {
	response *kvorumv1.BatchResponse
	hold     *replica.Hold
}

var errSlowClient = status.Error(codes.ResourceExhausted, "the client does not read its answers")

func newLane(options Options, busy *busy, stream grpc.BidiStreamingServer[kvorumv1.BatchRequest, kvorumv1.BatchResponse]) *lane {
	ctx, cancel := context.WithCancelCause(stream.Context())
	return &lane{
		options: options, busy: busy, stream: stream, ctx: ctx, cancel: cancel,
		slots:   make(chan struct{}, options.Limits.MaxLaneMessages),
		answers: make(chan answer, options.Limits.MaxLaneMessages),
	}
}

// run returns when the client has closed its side and has all its answers, or when the stream is broken. The stream's
// end unblocks receiver and sender, wherever they are.
func (l *lane) run() error {
	defer l.cancel(nil)
	received := make(chan error, 1)
	sent := make(chan struct{})
	go func() { received <- l.receive() }()
	go func() {
		defer close(sent)
		l.send()
	}()
	var err error
	select {
	case err = <-received:
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
	select {
	case <-sent:
		return err
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}

// receive ends with the stream, and then, when every message is worked off, closes the answers.
func (l *lane) receive() error {
	var working sync.WaitGroup
	defer func() {
		working.Wait()
		close(l.answers)
	}()
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
		request, err := l.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		l.busy.begin()
		working.Go(func() { l.serve(request) })
	}
}

func (l *lane) serve(request *kvorumv1.BatchRequest) {
	response, hold := l.options.answer(l.ctx, request)
	l.answers <- answer{response: response, hold: hold}
}

// answer does what one message asks. hold, which may be nil, is to be released when the answer is sent.
func (o Options) answer(ctx context.Context, request *kvorumv1.BatchRequest) (*kvorumv1.BatchResponse, *replica.Hold) {
	size := proto.Size(request)
	var refusal *kverr.Error
	if size > o.Limits.MaxMessageBytes && len(request.Operations) > 1 {
		refusal = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the message has %d bytes, the limit is %d unless it holds one operation", size, o.Limits.MaxMessageBytes)
	}
	hold := o.Budget.Reserve(int64(size + len(request.Operations)*operationOverhead))
	if hold == nil && refusal == nil {
		refusal = replica.Overloaded("the node holds as many bytes as it may")
	}
	response := &kvorumv1.BatchResponse{Id: request.Id}
	if refusal != nil {
		b := &batch{options: o, results: make([]*kvorumv1.Result, len(request.Operations))}
		b.failAll(refusal)
		response.Results = b.results
		return response, hold
	}
	deadline := o.Limits.deadline(o.Clock.Now(), request.TimeoutMs)
	response.Results = o.execute(ctx, request, deadline, hold)
	return response, hold
}

// send writes answers in the order in which they are ready. After a failure it only gives back what they hold.
func (l *lane) send() {
	broken := false
	for a := range l.answers {
		if !broken {
			if err := l.sendOne(a.response); err != nil {
				broken = true
				l.cancel(err)
			}
		}
		if a.hold != nil {
			a.hold.Release()
		}
		l.busy.end()
		<-l.slots
	}
}

func (l *lane) sendOne(response *kvorumv1.BatchResponse) error {
	stuck := l.options.Clock.AfterFunc(l.options.Limits.SendTimeout, func() { l.cancel(errSlowClient) })
	defer stuck.Stop()
	return l.stream.Send(response)
}
