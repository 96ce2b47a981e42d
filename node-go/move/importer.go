package move

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"kvorum/node/clock"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

const (
	// DefaultBytesPerSecond leaves most of a disk and of a processor to clients.
	DefaultBytesPerSecond = 32 << 20
	// freezeLimit is how long writes wait at most for a move that has broken: the freeze ends by itself then.
	freezeLimit = 3 * time.Second
	// grace is how long a move goes on, once it asks for the release, when whoever asked for the move is gone: what is
	// left takes two commits, and if it were left undone, nobody would own the partitions until somebody came.
	grace = 5 * time.Second
	// cleanupLimit bounds the attempt to leave nothing behind after a failure. What it leaves, control finds.
	cleanupLimit = 2 * time.Second
	// activateRetry is the rest after an activation that may not have been applied.
	activateRetry = 5 * time.Millisecond
	// silence is how long the giver may send nothing while something is due.
	silence = 5 * time.Second
	// catchUpLimit bounds the rounds. A move that has not found a small one by then is slower than the writes.
	catchUpLimit = time.Minute
)

// Importer carries out the moves to this node's shard, as long as this node leads it.
type Importer struct {
	Clock clock.Clock
	Log   *slog.Logger
	// Connect gives the means to speak to the shard that a request names.
	Connect func(*nodev1.ImportRequest) Giver

	mu sync.Mutex
	// jobs are those under way.
	jobs    map[*job]struct{}
	closed  bool
	running sync.WaitGroup
}

// Import takes partitions over, and returns nil when this shard owns them. progress is called from one goroutine, now and then,
// with the newest state; a slow one holds nothing up. When ctx ends Import returns, and the move ends too, unless it is
// past the point from which it is better to finish it. After any error THAW at the giver finds out how far it came.
func (i *Importer) Import(
	ctx context.Context, shard Shard, request *nodev1.ImportRequest, progress func(*nodev1.ImportResponse) error,
) *kverr.Error {
	j, err := i.start(shard, request)
	if err != nil {
		return err
	}
	for {
		select {
		case now := <-j.news:
			if progress(now) != nil {
				j.abandon()
				return abandoned()
			}
		case <-j.done:
			return j.finish(progress)
		case <-ctx.Done():
			j.abandon()
			return abandoned()
		}
	}
}

// Close ends all moves and returns when they have ended. None begins after it.
func (i *Importer) Close() {
	i.mu.Lock()
	i.closed = true
	for j := range i.jobs {
		j.end()
	}
	i.mu.Unlock()
	i.running.Wait()
}

func (i *Importer) start(shard Shard, request *nodev1.ImportRequest) (*job, *kverr.Error) {
	leading, err := shard.Leading()
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "the node is stopping")
	}
	for other := range i.jobs {
		if overlap(other.request.GetPartitions(), request.GetPartitions()) {
			return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
				"a move of some of the partitions is under way, in epoch %d", other.request.GetEpoch())
		}
	}
	j := newJob(leading, i, shard, request)
	if i.jobs == nil {
		i.jobs = map[*job]struct{}{}
	}
	i.jobs[j] = struct{}{}
	i.running.Go(func() {
		j.run()
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.jobs, j)
	})
	return j, nil
}

func overlap(a, b []*nodev1.PartitionRange) bool {
	for _, x := range a {
		for _, y := range b {
			if x.GetFirst() <= y.GetLast() && y.GetFirst() <= x.GetLast() {
				return true
			}
		}
	}
	return false
}

// abandoned is what becomes of a move whose caller has gone: it may go on.
func abandoned() *kverr.Error {
	return kverr.Unknown(pb.ErrorCode_ERROR_CODE_CANCELLED, "the caller gave up: the move may go on, THAW at the giver ends it")
}

// definite says that an error is the state machine's refusal: what was proposed had no effect, and never will.
func definite(err *kverr.Error) bool {
	return err != nil && err.Outcome == pb.Outcome_OUTCOME_NOT_APPLIED &&
		(err.Code == pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED || err.Code == pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}

var errTooSlow = errors.New("the partitions change faster than they are moved")
