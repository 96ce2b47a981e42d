package server

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/watch"
)

type watching = grpc.ServerStreamingClient[kvorumv1.WatchResponse]

// startWatched is a bench whose node has a ring of so many bytes and has applied entry 1, with partitions 0 to 9 owned.
func startWatched(t *testing.T, bytes int) *bench {
	t.Helper()
	hub := watch.NewHub(bytes, clock.Real())
	t.Cleanup(hub.Close)
	held := watch.Holdings{}
	for number := range 10 {
		held[number] = fsm.Holding{State: fsm.Owned, Epoch: 1}
	}
	hub.Begin(1, &held)
	b := start(t, nil)
	b.node.hub = hub
	return b
}

func (b *bench) watch(t *testing.T, request *kvorumv1.WatchRequest) watching {
	t.Helper()
	if request.Keys == nil {
		request.Keys = &kvorumv1.WatchRequest_Prefix{}
	}
	stream, err := b.kv.Watch(b.ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func next(t *testing.T, stream watching) *kvorumv1.WatchResponse {
	t.Helper()
	message, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func changeOf(key string, bytes int, version uint64) fsm.Change {
	return fsm.Change{Kind: fsm.Put, Key: []byte(key), Value: make([]byte, bytes), Version: version}
}

func isAt(p *kvorumv1.WatchPosition, index uint64, skip uint32) bool {
	return p.GetIndex() == index && p.GetSkip() == skip
}

func TestAWatchGivesWhatComes(t *testing.T) {
	b := startWatched(t, 1<<20)
	stream := b.watch(t, &kvorumv1.WatchRequest{Keys: &kvorumv1.WatchRequest_Prefix{Prefix: []byte("a")}})
	first := next(t, stream)
	if !isAt(first.Next, 2, 0) || len(first.Partitions) != 1 || first.Partitions[0].Last != 9 || first.Partitions[0].Holding != kvorumv1.WatchedPartitions_HOLDING_OWNED {
		t.Fatalf("begins with %v", first)
	}
	b.node.hub.Observe(2, []fsm.Change{
		changeOf("a1", 3, 4), changeOf("b", 3, 1),
		{Kind: fsm.Deleted, Key: []byte("a1"), Version: 4},
		{Kind: fsm.ReleasedAway, First: 3, Last: 4, Holding: fsm.Holding{State: fsm.Released, Epoch: 6}},
		{Kind: fsm.Held, First: 5, Last: 5, Holding: fsm.Holding{State: fsm.Frozen, Epoch: 7}},
	})
	events := next(t, stream).Events
	if len(events) != 3 || string(events[0].GetPut().GetKey()) != "a1" || !isAt(events[0].Next, 2, 1) ||
		events[1].GetDelete().GetVersion() != 4 || !isAt(events[1].Next, 2, 3) ||
		events[2].GetReleased().GetFirst() != 3 || events[2].GetReleased().GetEpoch() != 6 || !isAt(events[2].Next, 2, 4) {
		t.Fatalf("got %v", events)
	}
	again := b.watch(t, &kvorumv1.WatchRequest{From: &kvorumv1.WatchPosition{Index: 2, Skip: 3}})
	if begin := next(t, again); !isAt(begin.Next, 2, 3) || len(begin.Partitions) != 1 {
		t.Fatalf("goes on with %v", begin)
	}
	if events := next(t, again).Events; len(events) != 1 || events[0].GetReleased() == nil {
		t.Fatalf("got %v", events)
	}
}

// TestAPositionThatIsNotReachedYetIsWaitedFor, also one in the middle of an entry that has not come: what the entry does before the position
// counts for how partitions are held there.
func TestAPositionThatIsNotReachedYetIsWaitedFor(t *testing.T) {
	b := startWatched(t, 1<<20)
	stream := b.watch(t, &kvorumv1.WatchRequest{From: &kvorumv1.WatchPosition{Index: 3, Skip: 1}})
	b.node.hub.Observe(2, []fsm.Change{changeOf("a", 1, 1)})
	// Nobody leads any more: whoever waits is sent elsewhere, and whoever does not wait begins too early.
	b.node.lost.Store(true)
	_, err := b.watch(t, &kvorumv1.WatchRequest{From: &kvorumv1.WatchPosition{Index: 3, Skip: 1}, ProgressMs: 100}).Recv()
	expectStatus(t, err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	b.node.lost.Store(false)
	b.node.hub.Observe(3, []fsm.Change{
		{Kind: fsm.ReleasedAway, First: 0, Last: 9, Holding: fsm.Holding{State: fsm.Released, Epoch: 6}},
		changeOf("a", 1, 3),
	})
	begin := next(t, stream)
	if !isAt(begin.Next, 3, 1) || len(begin.Partitions) != 1 ||
		begin.Partitions[0].Holding != kvorumv1.WatchedPartitions_HOLDING_GONE || begin.Partitions[0].Epoch != 6 {
		t.Fatalf("begins with %v", begin)
	}
	if events := next(t, stream).Events; len(events) != 1 || events[0].GetPut().GetVersion() != 3 {
		t.Fatalf("got %v", events)
	}
}

func TestAnIdleWatchIsToldOfProgress(t *testing.T) {
	b := startWatched(t, 1<<20)
	stream := b.watch(t, &kvorumv1.WatchRequest{Keys: &kvorumv1.WatchRequest_Key{Key: []byte("z")}, ProgressMs: 100})
	next(t, stream)
	b.node.hub.Observe(2, []fsm.Change{changeOf("a", 1, 1)})
	if mark := next(t, stream); len(mark.Events) != 0 || !isAt(mark.Next, 3, 0) {
		t.Fatalf("marked %v", mark)
	}
}

func TestWhatIsNotKeptIsCompacted(t *testing.T) {
	b := startWatched(t, 1000)
	for index := uint64(2); index < 10; index++ {
		b.node.hub.Observe(index, []fsm.Change{changeOf("a", 500, index)})
	}
	for _, from := range []*kvorumv1.WatchPosition{{}, {Index: 2}} {
		_, err := b.watch(t, &kvorumv1.WatchRequest{From: from}).Recv()
		expectStatus(t, err, pb.ErrorCode_ERROR_CODE_COMPACTED)
	}
}

func TestAWatchNeedsALeaderSomewhere(t *testing.T) {
	b := startWatched(t, 1<<20)
	stream := b.watch(t, &kvorumv1.WatchRequest{ProgressMs: 100})
	next(t, stream)
	b.node.lost.Store(true)
	_, err := stream.Recv()
	expectStatus(t, err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
}

func expectStatus(t *testing.T, err error, code pb.ErrorCode) {
	t.Helper()
	if want := statusOf[code]; err == nil || status.Code(err) != want {
		t.Fatalf("got %v, want %s", err, want)
	}
}

// TestAThousandSlowWatchers: none of them reads; the ring is overwritten many times. What the node holds for them is bounded, and whoever writes
// does not wait.
func TestAThousandSlowWatchers(t *testing.T) {
	const watchers, value, ringBytes = 1000, 16 << 10, 4 << 20
	b := startWatched(t, ringBytes)
	for number := range watchers {
		if number%200 == 0 {
			// A connection has 256 streams at most.
			b.connect(t)
		}
		next(t, b.watch(t, &kvorumv1.WatchRequest{From: &kvorumv1.WatchPosition{Index: 2}}))
	}
	before := heap()
	began := time.Now()
	for index := uint64(2); index < 4000; index++ {
		b.node.hub.Observe(index, []fsm.Change{changeOf("a", value, index)})
	}
	took := time.Since(began)
	held := heap() - before
	t.Logf("%d watchers: 64 MB written in %s, %d MiB held for them", watchers, took, held>>20)
	// Each has a window of 64 KiB on the client's side of this process, and the quota of its stream.
	if most := int64(ringBytes + maxWatchingBytes + watchers*(64<<10+2*watchMessageBytes)); held > most {
		t.Errorf("held %d MiB for %d watchers, of at most %d", held>>20, watchers, most>>20)
	}
	if took > 5*time.Second {
		t.Errorf("whoever writes took %s", took)
	}
	// One who reads gets what it can, and then hears that there was more.
	fresh := b.watch(t, &kvorumv1.WatchRequest{From: &kvorumv1.WatchPosition{Index: 3990}})
	for version, count := uint64(3990), 0; version < 4000; count++ {
		for _, e := range next(t, fresh).Events {
			if e.GetPut().GetVersion() != version {
				t.Fatalf("version %d after %d", e.GetPut().GetVersion(), version-1)
			}
			version++
		}
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestASlowWatcherFallsOutOfTheRing and hears of it; nothing that it was told has a gap.
func TestASlowWatcherFallsOutOfTheRing(t *testing.T) {
	b := startWatched(t, 256<<10)
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	stream, err := b.kv.Watch(ctx, &kvorumv1.WatchRequest{Keys: &kvorumv1.WatchRequest_Prefix{}})
	if err != nil {
		t.Fatal(err)
	}
	next(t, stream)
	for index := uint64(2); index < 300; index++ {
		b.node.hub.Observe(index, []fsm.Change{changeOf(fmt.Sprint("a", index), 16<<10, index)})
	}
	for version := uint64(2); ; {
		message, err := stream.Recv()
		if err != nil {
			expectStatus(t, err, pb.ErrorCode_ERROR_CODE_COMPACTED)
			return
		}
		for _, e := range message.Events {
			if e.GetPut().GetVersion() != version {
				t.Fatalf("version %d instead of %d", e.GetPut().GetVersion(), version)
			}
			version++
		}
		if version == 300 {
			t.Fatal("it did not fall out: the windows are larger than the test believes")
		}
	}
}

// TestRoomForMessagesIsGivenBack: what was on its way to watchers that have gone does not count.
func TestRoomForMessagesIsGivenBack(t *testing.T) {
	b := startWatched(t, 64<<20)
	ctx, cancel := context.WithCancel(b.ctx)
	for range 40 {
		stream, err := b.kv.Watch(ctx, &kvorumv1.WatchRequest{Keys: &kvorumv1.WatchRequest_Prefix{}})
		if err != nil {
			t.Fatal(err)
		}
		next(t, stream)
	}
	b.node.hub.Observe(2, []fsm.Change{changeOf("a", 1<<20, 1)})
	one := b.watch(t, &kvorumv1.WatchRequest{From: &kvorumv1.WatchPosition{Index: 2}})
	next(t, one)
	cancel()
	if events := next(t, one).Events; len(events) != 1 {
		t.Fatalf("got %d events", len(events))
	}
	for b.server.data.watching.Free() != maxWatchingBytes {
		runtime.Gosched()
	}
}
