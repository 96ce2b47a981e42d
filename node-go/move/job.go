package move

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"kvorum/node/clock"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// job is one move to this shard, from IMPORT to ACTIVATE. One goroutine owns it.
type job struct {
	clock   clock.Clock
	shard   Shard
	giver   Giver
	request *nodev1.ImportRequest
	warn    func(message string, args ...any)

	// ctx ends with this leadership, with the importer, or when the caller has gone and the release was not asked for.
	ctx context.Context
	end context.CancelFunc
	// done closes when err is final.
	done chan struct{}
	err  *kverr.Error
	news chan *nodev1.ImportResponse

	mu        sync.Mutex
	forsaken  bool
	committed bool
	timer     clock.Timer

	state  nodev1.ImportResponse
	pace   pace
	rounds rounds
	// frozenAt is when the freeze was asked for; zero before.
	frozenAt time.Time
	// freezing answers the freeze.
	freezing chan *kverr.Error
	helpers  sync.WaitGroup
}

func newJob(leading context.Context, i *Importer, shard Shard, request *nodev1.ImportRequest) *job {
	rate := request.GetBytesPerSecond()
	if rate == 0 {
		rate = DefaultBytesPerSecond
	}
	j := &job{
		clock: i.Clock, shard: shard, giver: i.Connect(request), request: request,
		warn: i.Log.With("epoch", request.GetEpoch(), "from", request.GetFromShard()).Warn,
		done: make(chan struct{}), news: make(chan *nodev1.ImportResponse, 1),
		pace: pace{clock: i.Clock, perSecond: rate}, rounds: rounds{clock: i.Clock}, freezing: make(chan *kverr.Error, 1),
	}
	j.ctx, j.end = context.WithCancel(leading)
	return j
}

func (j *job) run() {
	defer close(j.done)
	defer j.giver.Close()
	j.err = j.move()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.timer != nil {
		j.timer.Stop()
	}
	j.end()
}

// move is the whole of it. Until RELEASE was asked for, a failure is cleaned up here; after that only the giver's log knows
// whether the move goes forward.
func (j *job) move() *kverr.Error {
	begun, err := j.step(j.ctx, nodev1.MoveStep_MOVE_STEP_IMPORT)
	if err != nil {
		return err
	}
	if !begun {
		// Some of its records may be here, of which the giver may have deleted some since: they would come back.
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
			"a move in epoch %d was begun before: thaw and discard it, and take another epoch", j.request.GetEpoch())
	}
	err = j.copy()
	if err == nil && !j.commit() {
		err = abandoned()
	}
	if err != nil {
		j.withdraw()
		return err
	}
	if err := j.ask(j.ctx, nodev1.MoveStep_MOVE_STEP_RELEASE); err != nil {
		if definite(err) {
			j.settle()
		}
		return err
	}
	j.tell(nodev1.ImportResponse_PHASE_RELEASED)
	if err := j.activate(); err != nil {
		return err
	}
	j.state.PauseUs = uint64(j.clock.Since(j.frozenAt).Microseconds())
	j.tell(nodev1.ImportResponse_PHASE_ACTIVE)
	return nil
}

// copy returns nil when everything is here, as it was at the freeze.
func (j *job) copy() *kverr.Error {
	ctx, cancel := context.WithCancel(j.ctx)
	defer j.helpers.Wait()
	defer cancel()
	stream, err := j.giver.Export(ctx, &nodev1.ExportRequest{
		Epoch: j.request.GetEpoch(), Partitions: j.request.GetPartitions(), Format: fsmcommand.Format,
	})
	if err != nil {
		return err
	}
	j.tell(nodev1.ImportResponse_PHASE_COPYING)
	arrivals := make(chan arrival)
	j.helpers.Go(func() { receive(ctx, stream, arrivals) })
	for {
		a, err := j.next(ctx, arrivals)
		if err != nil {
			return err
		}
		if a.message == nil {
			continue
		}
		if err := j.take(ctx, a.message); err != nil {
			return err
		}
		if len(a.message.GetComplete()) > 0 {
			j.tell(nodev1.ImportResponse_PHASE_FROZEN)
			return nil
		}
	}
}

// arrival is what a stream has brought.
type arrival struct {
	message *nodev1.ExportResponse
	err     error
}

func receive(ctx context.Context, from Stream, to chan<- arrival) {
	for {
		message, err := from.Recv()
		select {
		case to <- arrival{message, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// next waits for a message. No message and no error: the stream is quiet, or the freeze was answered, and nothing is lost.
func (j *job) next(ctx context.Context, arrivals <-chan arrival) (arrival, *kverr.Error) {
	patience, quiet := silence, j.rounds.quiet() && j.frozenAt.IsZero()
	if quiet {
		patience = roundTime
	}
	timer := j.clock.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-arrivals:
		if errors.Is(a.err, io.EOF) {
			return a, broken("the giver's export ended before it was complete")
		}
		if a.err != nil {
			return a, kverr.Of(a.err)
		}
		return a, nil
	case err := <-j.freezing:
		return arrival{}, err
	case <-timer.C():
		if !quiet {
			return arrival{}, broken("the giver has sent nothing for %s", silence)
		}
		// Nothing has changed for as long as a round may take.
		j.freeze(ctx)
		return arrival{}, nil
	case <-ctx.Done():
		return arrival{}, kverr.Unknown(pb.ErrorCode_ERROR_CODE_CANCELLED, "the move was ended: %w", ctx.Err())
	}
}

func broken(format string, args ...any) *kverr.Error {
	return kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, format, args...)
}

// take puts what a message holds into the log, and asks for the freeze when little is left.
func (j *job) take(ctx context.Context, m *nodev1.ExportResponse) *kverr.Error {
	entry, n := entryOf(j.request.GetEpoch(), m)
	if n > 0 && j.frozenAt.IsZero() {
		if err := j.pace.wait(ctx, n); err != nil {
			return kverr.Unknown(pb.ErrorCode_ERROR_CODE_CANCELLED, "the move was ended: %w", err)
		}
	}
	if n > 0 || len(entry.GetComplete()) > 0 {
		c := &command.Command{Kind: &command.Command_Import{Import: entry}}
		if err := j.shard.Propose(ctx, c, j.clock.Now().Add(proposeLimit)).Err; err != nil {
			return err
		}
		j.state.Records += uint64(len(entry.GetRecords()))
		j.state.Bytes += uint64(n)
		j.say()
	}
	j.rounds.took(n)
	if !m.GetCaughtUp() || !j.frozenAt.IsZero() {
		return nil
	}
	if !j.rounds.caughtUp {
		j.tell(nodev1.ImportResponse_PHASE_CAUGHT_UP)
	}
	small, tooSlow := j.rounds.end()
	if tooSlow {
		return kverr.Unknown(pb.ErrorCode_ERROR_CODE_OVERLOADED, "%w", errTooSlow)
	}
	if small {
		j.freeze(ctx)
	}
	return nil
}

func entryOf(epoch uint64, m *nodev1.ExportResponse) (entry *command.ImportRecords, bytes int) {
	entry = &command.ImportRecords{Epoch: epoch, Removed: m.GetRemoved()}
	for _, r := range m.GetRecords() {
		entry.Records = append(entry.Records, &command.ImportedRecord{
			Key: r.GetKey(), Value: r.GetValue(), Version: r.GetVersion(), TtlMs: r.GetTtlMs(), Lease: r.GetLease(),
		})
		bytes += len(r.GetKey()) + len(r.GetValue()) + recordBytes
	}
	for _, key := range m.GetRemoved() {
		bytes += len(key) + recordBytes
	}
	for _, l := range m.GetLeases() {
		entry.Leases = append(entry.Leases, &command.ImportedLease{
			Lease: l.GetLease(), TtlMs: l.GetTtlMs(), LeftMs: l.GetLeftMs(), Partitions: l.GetPartitions(), Ended: l.GetEnded(),
		})
		bytes += len(l.GetPartitions()) + len(l.GetEnded()) + recordBytes
	}
	for _, c := range m.GetComplete() {
		entry.Complete = append(entry.Complete, &command.ImportedPartition{Partition: c.GetPartition(), Floor: c.GetFloor()})
	}
	return entry, bytes
}

// freeze asks the giver for the freeze, beside the stream.
func (j *job) freeze(ctx context.Context) {
	j.frozenAt = j.clock.Now()
	j.helpers.Go(func() {
		if err := j.ask(ctx, nodev1.MoveStep_MOVE_STEP_FREEZE); err != nil {
			j.freezing <- err
		}
	})
}

// activate makes this shard the owner. The giver has released the partitions: it is tried as long as there is any sense in it.
func (j *job) activate() *kverr.Error {
	for {
		_, err := j.step(j.ctx, nodev1.MoveStep_MOVE_STEP_ACTIVATE)
		if err == nil || definite(err) || err.Code == pb.ErrorCode_ERROR_CODE_NOT_LEADER || j.ctx.Err() != nil {
			return err
		}
		if clock.Wait(j.ctx, j.clock, activateRetry) != nil {
			return err
		}
	}
}

// withdraw ends a move that has not asked for the release, and never will: nobody else does, so the giver keeps the partitions.
// Where that cannot be said to either side now, the freeze ends by itself, and control finds the rest.
func (j *job) withdraw() {
	ctx, cancel := within(context.WithoutCancel(j.ctx), j.clock, cleanupLimit)
	defer cancel()
	if _, err := j.step(ctx, nodev1.MoveStep_MOVE_STEP_DISCARD); err != nil {
		j.warn("a broken move was not discarded", "error", err)
	}
	if j.frozenAt.IsZero() {
		return
	}
	if err := j.ask(ctx, nodev1.MoveStep_MOVE_STEP_THAW); err != nil {
		j.warn("a broken move was not thawed at the giver", "error", err)
	}
}

// settle follows a release that was refused. What is here is of no use if the giver says that it owns the partitions and will not
// release them. If it does not say so, an earlier copy of the release may have been taken: nothing is touched.
func (j *job) settle() {
	ctx, cancel := within(context.WithoutCancel(j.ctx), j.clock, cleanupLimit)
	defer cancel()
	err := j.ask(ctx, nodev1.MoveStep_MOVE_STEP_THAW)
	if err == nil {
		_, err = j.step(ctx, nodev1.MoveStep_MOVE_STEP_DISCARD)
	}
	if err != nil {
		j.warn("a broken move was not settled", "error", err)
	}
}

func (j *job) message(step nodev1.MoveStep) *nodev1.MoveRequest {
	m := &nodev1.MoveRequest{Step: step, Epoch: j.request.GetEpoch(), Partitions: j.request.GetPartitions()}
	if step == nodev1.MoveStep_MOVE_STEP_FREEZE {
		m.FreezeMs = uint32(freezeLimit.Milliseconds())
	}
	return m
}

// ask has the giver do a step.
func (j *job) ask(ctx context.Context, step nodev1.MoveStep) *kverr.Error {
	return j.giver.Step(ctx, j.message(step))
}

// step does one here, and says whether it was done just now.
func (j *job) step(ctx context.Context, step nodev1.MoveStep) (now bool, err *kverr.Error) {
	result := j.shard.Propose(ctx, Command(j.message(step)), j.clock.Now().Add(proposeLimit))
	return !result.Already, result.Err
}
