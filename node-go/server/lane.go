package server

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"kvorum/node/clock"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// lane is one Batch stream: a receiver, one goroutine per message, one sender.
//
// Memory is bounded: a message takes a slot before it is received and gives it back when its answer is sent, so a
// client that does not read is not read from; and its bytes are held in the node's budget for as long. What finds no
// room is refused before it is decoded, and then its stream rests.
type lane struct {
	options Options
	busy    *busy
	toll    *toll
	readers *readers
	// refusals bounds the bytes of those that are on their way, of all lanes.
	refusals *replica.Budget
	stream   grpc.BidiStreamingServer[kvorumv1.BatchRequest, kvorumv1.BatchResponse]
	// ctx ends when the client leaves, the server stops, or sending fails.
	ctx    context.Context
	cancel context.CancelCauseFunc
	slots  chan struct{}
	// answers has room for one answer per slot: nobody who works ever waits for the sender.
	answers chan answer
}

// answer is a message to send, or its bytes, and what it holds until then.
type answer struct {
	message *kvorumv1.BatchResponse
	encoded []byte
	hold    *replica.Hold
}

var (
	errSlowClient        = status.Error(codes.ResourceExhausted, "the client does not read its answers")
	errRefusals          = status.Error(codes.ResourceExhausted, "the node holds as many refusals as it may: read the answers")
	errTooManyOperations = status.Errorf(codes.InvalidArgument, "a message has at most %d operations", maxOperations)
)

func newLane(s *kvService, stream grpc.BidiStreamingServer[kvorumv1.BatchRequest, kvorumv1.BatchResponse]) *lane {
	ctx, cancel := context.WithCancelCause(stream.Context())
	return &lane{
		options: s.options, busy: s.busy, toll: s.toll, readers: s.readers, refusals: s.refusals, stream: stream, ctx: ctx, cancel: cancel,
		slots:   make(chan struct{}, s.options.Limits.MaxLaneMessages),
		answers: make(chan answer, s.options.Limits.MaxLaneMessages),
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
	workers := newWorkers(cap(l.slots), l.serve)
	defer func() {
		workers.finish()
		close(l.answers)
	}()
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
		request := &frame{}
		err := l.stream.RecvMsg(request)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		said, err := request.outline()
		if err != nil {
			request.free()
			return err
		}
		if said.operations > maxOperations {
			request.free()
			return errTooManyOperations
		}
		l.busy.begin()
		hold, refusal := l.options.admit(said)
		if refusal == nil {
			workers.hand(job{request: request, hold: hold})
			continue
		}
		request.free()
		if err := l.refuse(said, refusal); err != nil {
			return err
		}
	}
}

// refuse answers a whole message and lets the stream rest. Its error ends the stream, and is no answer to anything that
// came on it: other messages may be at work.
func (l *lane) refuse(said outline, refusal *kverr.Error) error {
	rest := l.toll.charge(said)
	defer l.toll.rested()
	if refusal.RetryAfterMs > 0 {
		// The longer the line, the later they are to come again.
		refusal.RetryAfterMs = max(refusal.RetryAfterMs, uint32(rest.Milliseconds()))
	}
	one := encodeResult(l.options.failed(refusal))
	hold := l.refusals.Reserve(int64(len(one)*said.operations + operationOverhead))
	if hold == nil {
		l.busy.end()
		return errRefusals
	}
	l.answers <- answer{encoded: said.sameForAll(one), hold: hold}
	if clock.Wait(l.ctx, l.options.Clock, rest) != nil {
		return context.Cause(l.ctx)
	}
	return nil
}

func (l *lane) serve(j job) {
	request, hold := j.request, j.hold
	message, err := request.decode()
	// Decoding copies.
	request.free()
	if err != nil {
		l.cancel(err)
		// Nobody gets it; it carries what is to be given back.
		l.answers <- answer{message: &kvorumv1.BatchResponse{}, hold: hold}
		return
	}
	deadline := l.options.Limits.deadline(l.options.Clock.Now(), message.TimeoutMs)
	response := &kvorumv1.BatchResponse{Id: message.Id}
	response.Results = l.options.execute(l.ctx, message, deadline, hold, l.readers.shed)
	l.answers <- answer{message: response, hold: hold}
}

// send writes answers in the order in which they are ready. After a failure it only gives back what they hold.
func (l *lane) send() {
	broken := false
	for a := range l.answers {
		if broken {
			a.giveBack()
		} else if err := l.sendOne(a); err != nil {
			broken = true
			l.cancel(err)
		}
		l.busy.end()
		<-l.slots
	}
}

// sendOne returns when there is room for another answer.
func (l *lane) sendOne(a answer) error {
	stuck := l.options.Clock.AfterFunc(l.options.Limits.SendTimeout, func() { l.cancel(errSlowClient) })
	over := func() {
		stuck.Stop()
		a.giveBack()
	}
	data := &a.encoded
	if a.encoded == nil {
		var err error
		if data, err = encode(a.message); err != nil {
			over()
			return err
		}
	}
	if len(*data) <= writeQuota {
		defer over()
		return l.stream.SendMsg(&frame{buffer: mem.NewBuffer(data, mem.DefaultBufferPool())})
	}
	return l.stream.SendMsg(l.sendLarge(data, over))
}

// writeQuota is what gRPC takes of a stream's answers before it makes the sender wait. It takes an answer whole, however
// large.
const writeQuota = 64 << 10

// sendLarge calls over when the transport has let go of the data, which a client that does not read puts off: it counts
// until then. The end of the stream frees it too.
func (l *lane) sendLarge(data *[]byte, over func()) *frame {
	read := l.readers.wait(l)
	once := sync.OnceFunc(func() {
		read()
		over()
	})
	forget := context.AfterFunc(l.stream.Context(), once)
	return &frame{buffer: mem.NewBuffer(data, sentPool{sent: func() {
		forget()
		once()
	}})}
}

func (a answer) giveBack() { a.hold.Release() }
