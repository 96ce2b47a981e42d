package server

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
	"kvorum/node/watch"
)

const (
	// watchMessageBytes is about what a message to a watcher holds, unless one change is larger. Each watcher has one on its way.
	watchMessageBytes = 32 << 10
	// Marks of progress, and how often a watcher looks whether this node still follows its shard.
	defaultProgress = 5 * time.Second
	minProgress     = 100 * time.Millisecond
	// cutOff is how long a node without a leader goes on serving watchers: another one may have what does not come here.
	cutOff = 3 * time.Second
	// watchRoomRetry is between two looks for room, when others hold as many bytes as all watchers may.
	watchRoomRetry = 10 * time.Millisecond
)

// watcher is one Watch stream: a position in the ring, and at most one message on its way. Nothing is kept for it beside these, so
// one that is slow falls out of the ring and holds nobody up.
type watcher struct {
	options  Options
	room     *replica.Budget
	hub      *watch.Hub
	stream   grpc.ServerStreamingServer[kvorumv1.WatchResponse]
	ctx      context.Context
	cancel   context.CancelCauseFunc
	filter   watch.Filter
	progress time.Duration
	target   Replica
	at       watch.Position
	// told is the position that the client knows of.
	told watch.Position
	// sent is closed when the transport has let go of the last message; nil before the first.
	sent chan struct{}
}

func (s *kvService) Watch(request *kvorumv1.WatchRequest, stream grpc.ServerStreamingServer[kvorumv1.WatchResponse]) error {
	filter, refused := s.options.filterOf(request)
	if refused != nil {
		return s.options.failStream(stream, refused)
	}
	target, refused := s.options.Node.Replica()
	if refused != nil {
		return s.options.failStream(stream, refused)
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	w := &watcher{
		options: s.options, room: s.watching, hub: s.options.Node.Changes(), stream: stream, ctx: ctx, cancel: cancel,
		filter: filter, progress: progressOf(request), target: target,
	}
	defer w.hub.Enter()()
	if refused := w.begin(request.From); refused != nil {
		return s.options.failStream(stream, refused)
	}
	return w.run()
}

func (o Options) filterOf(request *kvorumv1.WatchRequest) (watch.Filter, *kverr.Error) {
	switch keys := request.Keys.(type) {
	case *kvorumv1.WatchRequest_Key:
		return watch.Filter{Key: keys.Key}, o.Limits.checkKey(keys.Key)
	case *kvorumv1.WatchRequest_Prefix:
		if len(keys.Prefix) == 0 {
			return watch.Filter{IsPrefix: true}, nil
		}
		return watch.Filter{Key: keys.Prefix, IsPrefix: true}, o.Limits.checkKey(keys.Prefix)
	default:
		return watch.Filter{}, invalid("a watch needs a key or a prefix")
	}
}

func progressOf(request *kvorumv1.WatchRequest) time.Duration {
	if request.ProgressMs == 0 {
		return defaultProgress
	}
	return max(minProgress, time.Duration(request.ProgressMs)*time.Millisecond)
}

// begin finds the position and tells the client of it. One that this replica has not reached yet is waited for, also one in the middle of
// its next entry: how partitions are held there is known when the entry is applied.
func (w *watcher) begin(from *kvorumv1.WatchPosition) *kverr.Error {
	if from != nil {
		w.at = watch.Position{Index: from.Index, Skip: from.Skip}
	} else if refused := w.beginNow(); refused != nil {
		return refused
	}
	for {
		changed := w.hub.Changed()
		if tail, begun := w.hub.Tail(); begun && !tail.Before(w.at) {
			break
		}
		if refused := w.wait(changed); refused != nil {
			return refused
		}
	}
	at, held, err := w.hub.Start(w.at)
	if err != nil {
		return compacted(err)
	}
	w.at, w.told = at, at
	if err := w.send(&kvorumv1.WatchResponse{Next: positionOf(at), Partitions: holdingsOf(held)}); err != nil {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "%w", err)
	}
	return nil
}

// beginNow takes the position after everything that was acknowledged before the call, on whatever replica this is.
func (w *watcher) beginNow() *kverr.Error {
	now := w.options.Clock.Now()
	if refused := w.target.Fresh(w.ctx, now, 0, now.Add(w.options.Limits.DefaultTimeout)); refused != nil {
		return refused
	}
	w.at, _ = w.hub.Tail()
	return nil
}

// wait returns when there is something new, or when it is time for a mark, or with the reason why the stream ends.
func (w *watcher) wait(changed <-chan struct{}) *kverr.Error {
	timer := w.options.Clock.NewTimer(w.progress)
	defer timer.Stop()
	select {
	case <-changed:
		return nil
	case <-timer.C():
	case <-w.ctx.Done():
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_CANCELLED, "the watch has ended: %w", context.Cause(w.ctx))
	}
	if !w.target.Follows(cutOff) {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "this node hears of no leader: watch another one")
	}
	return nil
}

// run ends with the stream.
func (w *watcher) run() error {
	marked := w.options.Clock.Now()
	for {
		changed := w.hub.Changed()
		events, next, err := w.hub.Read(w.at, w.filter, watchMessageBytes)
		if err != nil {
			return w.options.failStream(w.stream, compacted(err))
		}
		w.at = next
		now := w.options.Clock.Now()
		if len(events) > 0 || w.told != next && now.Sub(marked) >= w.progress {
			if err := w.send(&kvorumv1.WatchResponse{Events: eventsOf(events), Next: positionOf(next)}); err != nil {
				return err
			}
			w.told, marked = next, now
		}
		if tail, _ := w.hub.Tail(); next.Before(tail) {
			continue
		}
		if refused := w.wait(changed); refused != nil {
			return w.options.failStream(w.stream, refused)
		}
	}
}

// send waits until the message before this one is on its way, and there is room.
func (w *watcher) send(message *kvorumv1.WatchResponse) error {
	if w.sent != nil {
		select {
		case <-w.sent:
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
	data, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	hold, err := w.reserve(int64(len(data)))
	if err != nil {
		return err
	}
	stuck := w.options.Clock.AfterFunc(w.options.Limits.SendTimeout, func() { w.cancel(errSlowClient) })
	sent := make(chan struct{})
	once := sync.OnceFunc(func() {
		stuck.Stop()
		hold.Release()
		close(sent)
	})
	w.sent = sent
	// The end of the stream frees the message too.
	forget := context.AfterFunc(w.stream.Context(), once)
	over := func() {
		forget()
		once()
	}
	if mem.IsBelowBufferPoolingThreshold(cap(data)) {
		// Nobody says when it is let go of. gRPC lets a stream hold a few of these.
		defer over()
	}
	return w.stream.SendMsg(&frame{buffer: mem.NewBuffer(&data, letGo(over))})
}

// letGo is told when gRPC has let go of a message. Its memory is the message's alone: gRPC's own pool gives a megabyte for anything
// above 32 KiB, and each of a thousand watchers may hold one.
type letGo func()

func (letGo) Get(length int) *[]byte {
	data := make([]byte, length)
	return &data
}

func (over letGo) Put(*[]byte) { over() }

// reserve waits for room. Those who hold it are sent away when their clients do not read.
func (w *watcher) reserve(bytes int64) (*replica.Hold, error) {
	for {
		if hold := w.room.Reserve(bytes); hold != nil {
			return hold, nil
		}
		if clock.Wait(w.ctx, w.options.Clock, watchRoomRetry) != nil {
			return nil, context.Cause(w.ctx)
		}
	}
}

func compacted(err error) *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_COMPACTED,
		"this node: %w: another replica may keep more; else scan, and watch from now on", err)
}

func positionOf(p watch.Position) *kvorumv1.WatchPosition {
	return &kvorumv1.WatchPosition{Index: p.Index, Skip: p.Skip}
}

func eventsOf(events []watch.Event) []*kvorumv1.WatchEvent {
	list := make([]*kvorumv1.WatchEvent, len(events))
	for i := range events {
		list[i] = eventOf(&events[i])
	}
	return list
}

func eventOf(e *watch.Event) *kvorumv1.WatchEvent {
	event := &kvorumv1.WatchEvent{Next: positionOf(e.Next)}
	switch e.Kind {
	case fsm.Put:
		event.Kind = &kvorumv1.WatchEvent_Put{Put: &kvorumv1.Changed{Key: e.Key, Value: e.Value, Version: e.Version}}
	case fsm.Deleted:
		event.Kind = &kvorumv1.WatchEvent_Delete{Delete: &kvorumv1.Changed{Key: e.Key, Version: e.Version}}
	case fsm.ReleasedAway:
		event.Kind = &kvorumv1.WatchEvent_Released{Released: watchedOf(e.First, e.Last, e.Holding)}
	default:
		event.Kind = &kvorumv1.WatchEvent_Activated{Activated: watchedOf(e.First, e.Last, e.Holding)}
	}
	return event
}

func watchedOf(first, last uint16, h fsm.Holding) *kvorumv1.WatchedPartitions {
	return &kvorumv1.WatchedPartitions{First: uint32(first), Last: uint32(last), Epoch: h.Epoch, Holding: holdingOf(h)}
}

// holdingOf is UNSPECIFIED for partitions that the shard has never had, and for those that are on their way to it.
func holdingOf(h fsm.Holding) kvorumv1.WatchedPartitions_Holding {
	switch {
	case h.State == fsm.Owned:
		return kvorumv1.WatchedPartitions_HOLDING_OWNED
	case h.State == fsm.Frozen:
		return kvorumv1.WatchedPartitions_HOLDING_FROZEN
	case h.State == fsm.Released || h.State == fsm.None && h.Epoch > 0:
		return kvorumv1.WatchedPartitions_HOLDING_GONE
	default:
		return kvorumv1.WatchedPartitions_HOLDING_UNSPECIFIED
	}
}

// holdingsOf makes one of neighbours that are alike.
func holdingsOf(held *watch.Holdings) []*kvorumv1.WatchedPartitions {
	var list []*kvorumv1.WatchedPartitions
	for number, h := range held {
		if holdingOf(h) == kvorumv1.WatchedPartitions_HOLDING_UNSPECIFIED {
			continue
		}
		if last := len(list) - 1; last >= 0 && held[list[last].First] == h && list[last].Last+1 == uint32(number) {
			list[last].Last++
			continue
		}
		list = append(list, watchedOf(uint16(number), uint16(number), h))
	}
	return list
}
