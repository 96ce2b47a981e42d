package replica

import (
	"errors"
	"fmt"

	"kvorum/node/engine"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
	"kvorum/node/raftlog"
)

// Cause says what must happen after a fatal error.
type Cause int

const (
	// CauseIO: writing failed, or the disk is full.
	CauseIO Cause = iota + 1
	// CauseStall: the disk does not answer.
	CauseStall
	// CauseDamage: stored bytes are not what was written. The next Open mends it from the peers.
	CauseDamage
	// CauseRestart: nothing is wrong that a start does not put right.
	CauseRestart
	// CauseRefuse: this version, or this data, cannot go on however often it is started.
	CauseRefuse
)

// FatalError is why the process must end.
type FatalError struct {
	Cause Cause
	Err   error
}

func (e *FatalError) Error() string { return e.Err.Error() }

func (e *FatalError) Unwrap() error { return e.Err }

// classify finds the cause of an error of the engine or the state machine.
func classify(what string, err error) *FatalError {
	fatal := &FatalError{Cause: CauseIO, Err: fmt.Errorf("%s: %w", what, err)}
	var corrupt *engine.CorruptError
	var log *raftlog.CorruptError
	var known *kverr.Error
	switch {
	case errors.As(err, &log):
		// The state machine waits for the log (fsm.Options.AwaitDurable).
		fatal.Cause = CauseRefuse
	case errors.As(err, &corrupt):
		fatal.Cause = CauseDamage
	case errors.As(err, &known) && known.Code == pb.ErrorCode_ERROR_CODE_UNSUPPORTED,
		errors.As(err, &known) && known.Code == pb.ErrorCode_ERROR_CODE_CORRUPT:
		fatal.Cause = CauseRefuse
	}
	return fatal
}

// classifyLog is classify for the Raft log, which no peer can mend: it holds votes and acknowledgements.
func classifyLog(err error) *FatalError {
	fatal := &FatalError{Cause: CauseIO, Err: err}
	var corrupt *raftlog.CorruptError
	if errors.As(err, &corrupt) {
		fatal.Cause = CauseRefuse
	}
	return fatal
}
