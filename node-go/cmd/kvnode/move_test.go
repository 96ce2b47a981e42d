package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
)

// recordsToMove is what TestPartitionsMoveBetweenShards moves. KVORUM_MOVE_RECORDS makes it a measurement.
func recordsToMove(t *testing.T) int {
	t.Helper()
	text := os.Getenv("KVORUM_MOVE_RECORDS")
	if text == "" {
		return 2_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shardOf launches three nodes and makes them one shard, without partitions.
func shardOf(t *testing.T, ctx context.Context, number string) []*process {
	t.Helper()
	var all []*process
	var members []*kvorumv1.Node
	for range 3 {
		p := launch(t, t.TempDir(), "--shard", number)
		all = append(all, p)
		members = append(members, &kvorumv1.Node{Id: p.ready["id"], Address: p.ready["address"]})
	}
	for _, p := range all {
		if _, err := p.admin.Bootstrap(ctx, &nodev1.BootstrapRequest{Members: members}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func assign(t *testing.T, ctx context.Context, leader *process, owned ...*nodev1.PartitionRange) {
	t.Helper()
	if _, err := leader.admin.AssignPartitions(ctx, &nodev1.AssignPartitionsRequest{Epoch: 1, Owned: owned}); err != nil {
		t.Fatal(err)
	}
}

// populate puts records of 256 bytes, many in a message.
func populate(t *testing.T, ctx context.Context, leader *process, n int) {
	t.Helper()
	lane, err := leader.kv.Batch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 256)
	for from := 0; from < n; from += 500 {
		m := &kvorumv1.BatchRequest{Id: uint64(from + 1)}
		for i := from; i < min(n, from+500); i++ {
			m.Operations = append(m.Operations, &kvorumv1.Operation{Kind: &kvorumv1.Operation_Put{
				Put: &kvorumv1.PutRequest{Key: fmt.Appendf(nil, "key-%d", i), Value: value},
			}})
		}
		if err := lane.Send(m); err != nil {
			t.Fatal(err)
		}
		answer, err := lane.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Results {
			if r.GetError() != nil {
				t.Fatal(r.GetError())
			}
		}
	}
	if err := lane.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := lane.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// hammer writes counters with eight callers until stop is called; each asks the other shard when one refuses. It returns how
// many writes there were, the longest of them, and what each key must hold.
func hammer(ctx context.Context, leaders []*process) (stop func() (writes int64, longest time.Duration, last map[string]string, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var writes, longest atomic.Int64
	var mu sync.Mutex
	last, failed := map[string]string{}, error(nil)
	for caller := range 8 {
		running.Go(func() {
			at := 0
			for n := 0; ctx.Err() == nil; n++ {
				key, value := fmt.Sprintf("hot-%d-%d", caller, n%100), strconv.Itoa(n)
				began := time.Now()
				for {
					_, err := leaders[at].kv.Put(context.WithoutCancel(ctx), &kvorumv1.PutRequest{Key: []byte(key), Value: []byte(value)})
					if err == nil {
						break
					}
					if status.Code(err) != codes.Unavailable {
						mu.Lock()
						failed = err
						mu.Unlock()
						return
					}
					at = 1 - at
				}
				writes.Add(1)
				if took := int64(time.Since(began)); took > longest.Load() {
					longest.Store(took)
				}
				mu.Lock()
				last[key] = value
				mu.Unlock()
			}
		})
	}
	return func() (int64, time.Duration, map[string]string, error) {
		cancel()
		running.Wait()
		return writes.Load(), time.Duration(longest.Load()), last, failed
	}
}

// Six processes: everything moves from one shard to the other while clients write, and the first one is swept.
func TestPartitionsMoveBetweenShards(t *testing.T) {
	n := recordsToMove(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*testLimit)
	defer cancel()
	all := &nodev1.PartitionRange{First: 0, Last: 1023}
	a, b := shardOf(t, ctx, "1"), shardOf(t, ctx, "2")
	from, to := leaderOf(t, ctx, a...), leaderOf(t, ctx, b...)
	assign(t, ctx, from, all)
	assign(t, ctx, to)
	populate(t, ctx, from, n)
	stop := hammer(ctx, []*process{from, to})
	request := &nodev1.ImportRequest{Epoch: 2, Partitions: []*nodev1.PartitionRange{all}, FromShard: 1}
	// Its leader comes last: the others say who it is.
	for _, p := range a {
		if p != from {
			request.From = append(request.From, &kvorumv1.Node{Id: p.ready["id"], Address: p.ready["address"]})
		}
	}
	began := time.Now()
	last := importAll(t, ctx, to, request)
	took := time.Since(began)
	writes, longest, values, err := stop()
	if err != nil || writes == 0 {
		t.Fatalf("%d writes, %v", writes, err)
	}
	t.Logf("%d records in %s, pause %d us; %d writes beside it, the longest %s", last.Records, took, last.PauseUs, writes, longest)
	for key, value := range values {
		if got, err := to.kv.Get(ctx, &kvorumv1.GetRequest{Key: []byte(key)}); err != nil || string(got.GetValue()) != value {
			t.Fatalf("%s is %q, %v; should be %q", key, got.GetValue(), err, value)
		}
	}
	for i := 0; i < n; i += 97 {
		if got, err := to.kv.Get(ctx, &kvorumv1.GetRequest{Key: fmt.Appendf(nil, "key-%d", i)}); err != nil || len(got.GetValue()) != 256 {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	if _, err := from.kv.Get(ctx, &kvorumv1.GetRequest{Key: []byte("key-1")}); status.Code(err) != codes.Unavailable {
		t.Fatalf("the giver answers %v", err)
	}
	requirePartitions(t, ctx, to, &nodev1.PartitionReport{First: 0, Last: 1023, State: nodev1.PartitionState_PARTITION_STATE_OWNED, Epoch: 2})
	awaitSwept(t, ctx, from)
}

func importAll(t *testing.T, ctx context.Context, to *process, request *nodev1.ImportRequest) *nodev1.ImportResponse {
	t.Helper()
	stream, err := to.admin.Import(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	var last *nodev1.ImportResponse
	for {
		now, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v after %v", err, last)
		}
		last = now
	}
	if last.GetPhase() != nodev1.ImportResponse_PHASE_ACTIVE {
		t.Fatalf("the last word is %v", last)
	}
	return last
}

func requirePartitions(t *testing.T, ctx context.Context, p *process, want *nodev1.PartitionReport) {
	t.Helper()
	got, err := p.admin.Partitions(ctx, &nodev1.PartitionsRequest{})
	if err != nil || len(got.Partitions) != 1 || got.Partitions[0].String() != want.String() {
		t.Fatalf("%v %v, should be %v", got, err, want)
	}
}

// awaitSwept asks after each change of the giver's status.
func awaitSwept(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	for ctx.Err() == nil {
		got, err := p.admin.Partitions(ctx, &nodev1.PartitionsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Partitions) == 1 && got.Partitions[0].State == nodev1.PartitionState_PARTITION_STATE_NONE && got.Partitions[0].Epoch == 2 {
			return
		}
	}
	t.Fatal("it was not swept")
}
