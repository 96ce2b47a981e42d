// Package replica is one member of a Raft group: it wires hashicorp/raft to the transport, the log, the snapshots and
// the state machine, and adds what Raft leaves to its user: group commit (proposer), linearizable reads (confirmer),
// honest outcomes, an orderly end, and a way back for a node whose engine is damaged.
package replica

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/engine"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
	"kvorum/node/raftlog"
	"kvorum/node/snapshot"
	"kvorum/node/telemetry"
	"kvorum/node/transport"
	"kvorum/node/transport/failover"
	"kvorum/node/vfs"
)

// Options of Open; all are required unless they say otherwise.
type Options struct {
	// Dir holds raft/, snapshots/ and engine/. The caller has locked it.
	Dir      string
	FS       vfs.FS
	Clock    clock.Clock
	Log      *slog.Logger
	Identity transport.Identity
	// Book knows where peers listen.
	Book *transport.Book
	Mux  *transport.Mux
	// DialFrom is the address of this machine that connections to peers leave from. nil: as the system routes.
	DialFrom net.IP
	Timing   Timing
	Sizes    Sizes
	// Changed is raised when the status changes.
	Changed *Signal
	// Fetch reads a peer's state machine, for a damaged engine. nil: such an engine cannot be mended.
	Fetch Fetch
	// AskIndex asks a leader. nil: reads with a bound of staleness are answered by the leader only.
	AskIndex AskIndex
	// FormatMax is the newest format of commands that this node knows; 0: command.Format.
	FormatMax uint32
	// AskFormat asks a peer which format it knows at most. nil: the format is not raised, and no member is added afterwards.
	AskFormat AskFormat
	// FormatNew is the format that a new shard begins with, if its members know it. At most 1: it begins with the first one.
	FormatNew uint32
	// Observer is told of what entries change. May be nil.
	Observer fsm.Observer
	// Seeding is told when Fetch is about to be needed. May be nil.
	Seeding func()
	// Lead, if any, is called when a leadership of this node is ready, and should return soon after ctx ends, which it does with
	// the leadership.
	Lead func(ctx context.Context, r *Replica)
	// OnFatal is told, from any goroutine, that this process cannot go on. It should not return: what called it is broken.
	OnFatal func(*FatalError)
}

// Sizes bound what is on disk, and how long a disk may take.
type Sizes struct {
	// SegmentBytes of the engine, LogSegmentBytes of the Raft log; the second has a default for 0.
	SegmentBytes    int64
	LogSegmentBytes int
	CompactBytes    int64
	TrailingBytes   int64
	StallLimit      time.Duration
}

// Replica is open until Close. Its methods are safe for concurrent use.
type Replica struct {
	options Options
	id      raft.ServerID

	engine    engine.Engine
	log       *raftlog.Log
	fsm       *fsm.FSM
	transport *transport.Transport
	gate      *heartbeatGate
	raft      *raft.Raft
	compactor *snapshot.Compactor
	failover  *failover.Failover
	changed   *Signal
	// configurations are who the members are, and were.
	configurations *configurations
	// changing has room for the one change of members that is being made.
	changing chan struct{}
	// raising is the newest format that this node has proposed to raise to. What became of it may be unknown.
	raising atomic.Uint32
	// fresh is the term in which this node leads a shard to which nothing was ever proposed, and has not found out yet which format
	// it begins with; 0: there is none.
	fresh atomic.Uint64
	// turned is when Raft's role, or its leader, changed last.
	turned atomic.Pointer[time.Time]

	leadership *leadership
	logTime    *logTime
	expirer    *expirer
	proposer   *proposer
	confirmer  *confirmer
	freshness  *freshness
	// stopLeadership ends leadership.run.
	stopLeadership chan struct{}
	// ending makes Raft's complaints about connections that close what they are then: expected.
	ending telemetry.Ending
}

// Write answers each write, in their order, when all are answered. hold, if any, is kept until Raft has let go of them.
// The batch is the replica's from now on.
func (r *Replica) Write(ctx context.Context, batch *command.WriteBatch, deadline time.Time, hold *Hold) []fsm.Result {
	refuse := r.refusal(batch)
	if refuse == nil {
		return r.proposer.write(ctx, batch, deadline, hold)
	}
	frozen := frozenSeams{refuse: refuse, logTime: r.logTime.now, write: r.proposer.write}
	return frozen.answer(ctx, batch, deadline, hold)
}

// refusal says which of the writes are not to become part of an entry, and why; nil when all may.
func (r *Replica) refusal(batch *command.WriteBatch) func(write *command.Write, logTimeMs uint64) *kverr.Error {
	leads, used := r.raft.State() == raft.Leader, r.fsm.Format()
	isNewer := func(write *command.Write) bool { return fsmcommand.FormatOf(write) > used }
	switch {
	case slices.ContainsFunc(batch.Writes, isNewer):
		return func(write *command.Write, logTimeMs uint64) *kverr.Error {
			if err := r.formatLacks(write); err != nil || !leads {
				return err
			}
			return r.fsm.Frozen(write, logTimeMs)
		}
	case leads && r.fsm.AnyFrozen():
		return r.fsm.Frozen
	default:
		return nil
	}
}

// Full says why writes would be refused now; nil when they would not. It is cheap, so it can be asked before a message is
// decoded.
func (r *Replica) Full() *kverr.Error { return r.proposer.full() }

// Assign proposes a change of ownership.
func (r *Replica) Assign(ctx context.Context, assign *command.AssignPartitions, deadline time.Time) *kverr.Error {
	return r.Propose(ctx, &command.Command{Kind: &command.Command_Assign{Assign: assign}}, deadline).Err
}

// Propose proposes a command in an entry of its own, which follows everything that was proposed before. Only Already and Err
// of the result are set.
func (r *Replica) Propose(ctx context.Context, c *command.Command, deadline time.Time) fsm.Result {
	return r.proposer.alone(ctx, c, deadline)
}

// Confirm returns nil when Get gives linearizable answers to reads that began before the call.
func (r *Replica) Confirm(ctx context.Context, deadline time.Time) *kverr.Error {
	return r.confirmer.confirm(ctx, deadline)
}

// ReadIndex gives an index that holds everything that was acknowledged before the call. Only the leader has one.
func (r *Replica) ReadIndex(ctx context.Context, deadline time.Time) (uint64, *kverr.Error) {
	return r.confirmer.readIndex(ctx, deadline)
}

// Fresh returns nil when Get gives a state that is at least as new as the shard's was `bound` before `arrived`. A read must
// have begun by then; what it meets after Fresh, however late, is no older.
func (r *Replica) Fresh(ctx context.Context, arrived time.Time, bound time.Duration, deadline time.Time) *kverr.Error {
	if !r.isMember() {
		return notMember()
	}
	return r.freshness.await(ctx, arrived, bound, deadline)
}

// Get reads the state machine as it is here and now.
func (r *Replica) Get(key []byte) (engine.Record, bool, error) { return r.fsm.Get(key) }

// LogTimeMs is the log time now, as far as this node knows it: a leader's goes on, that of others stands still between entries.
func (r *Replica) LogTimeMs() uint64 {
	if r.leadership.isReady() {
		return r.logTime.now()
	}
	return r.fsm.LogTimeMs()
}

// Seed is a view that holds everything up to atLeast. The caller closes it.
func (r *Replica) Seed(atLeast uint64) (engine.View, *kverr.Error) {
	if !r.isMember() {
		return nil, notMember()
	}
	view, err := r.engine.View()
	if err != nil {
		return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "open a view: %w", err)
	}
	if view.Applied() < atLeast {
		defer view.Close()
		return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE,
			"this node has applied %d, less than the %d asked for", view.Applied(), atLeast)
	}
	return view, nil
}

// Campaign takes a hint that the leader's process is gone. It does nothing while the leader is well.
func (r *Replica) Campaign(context.Context) *kverr.Error {
	r.failover.Hint()
	return nil
}

const (
	// drainLimit is how long an orderly end waits for writes in flight. A leader without a majority gives them up within
	// its lease; this leaves room for a slow disk.
	drainLimit = 1500 * time.Millisecond
	// handoverLimit bounds handing leadership over, to all candidates together.
	handoverLimit = 1500 * time.Millisecond
	// knowLimit is how long to wait for the new leader's first message, to be able to name it to clients.
	knowLimit = 300 * time.Millisecond
)

// EndBegins says that Quiesce is about to be called.
func (r *Replica) EndBegins() { r.ending.Begin() }

// Quiesce is the first half of an orderly end: no new writes are taken, those in flight are answered, leadership is
// handed over. Requests are answered (NOT_LEADER) until Close.
func (r *Replica) Quiesce(ctx context.Context) {
	r.ending.Begin()
	drained := r.proposer.stop()
	timer := r.options.Clock.NewTimer(drainLimit)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C():
	case <-ctx.Done():
	}
	if r.raft.State() != raft.Leader {
		return
	}
	timer.Reset(handoverLimit)
	handover, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan *kverr.Error, 1)
	go func() { done <- r.TransferLeadership(handover, "") }()
	select {
	case err := <-done:
		if err != nil {
			r.options.Log.Warn("leadership was not handed over", "error", err)
			return
		}
		r.awaitLeader(ctx, knowLimit)
	case <-timer.C():
		cancel()
		<-done
	}
}

// Close is the second half: it stops everything and returns when it has stopped. Whoever still waits is answered.
func (r *Replica) Close() error {
	r.ending.Begin()
	r.proposer.stop()
	r.freshness.stop()
	r.failover.Close()
	r.gate.close()
	shutdown := r.raft.Shutdown()
	// Let go of Raft's goroutines wherever they are: in a call to a peer that does not answer, or in a state machine
	// that has met a fatal error.
	r.transport.Close()
	r.fsm.Close()
	r.compactor.Close()
	err := shutdown.Error()
	r.proposer.abandon()
	close(r.stopLeadership)
	<-r.leadership.finished
	r.confirmer.stop()
	<-r.proposer.finished
	return closeStores(err, r.engine, r.log)
}
