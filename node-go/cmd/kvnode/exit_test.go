package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"kvorum/node/engine"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
	"kvorum/node/raftlog"
	"kvorum/node/replica"
	"kvorum/node/snapshot"
	"kvorum/node/vfs"
)

func TestExitCodeOfEveryFault(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, exitClean},
		{faultf(exitUsage, "x"), exitUsage},
		{&vfs.LockedError{}, exitDirectory},
		{&engine.CorruptError{}, exitDamaged},
		{&raftlog.CorruptError{}, exitDamaged},
		{&raftlog.FormatError{}, exitDamaged},
		{&snapshot.CorruptError{}, exitDamaged},
		{kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNSUPPORTED, "x"), exitDamaged},
		{kverr.NotApplied(pb.ErrorCode_ERROR_CODE_CORRUPT, "x"), exitDamaged},
		{kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "x"), exitInternal},
		{&raftlog.IOError{Op: "append", Err: syscall.ENOSPC}, exitIO},
		{&engine.IOError{Op: "write", Err: syscall.EIO}, exitIO},
		{&fs.PathError{Err: syscall.EACCES}, exitDirectory},
		{&fs.PathError{Err: syscall.ENOTDIR}, exitDirectory},
		{fs.ErrPermission, exitDirectory},
		{syscall.EADDRINUSE, exitAddress},
		{errors.New("x"), exitInternal},
		{faultOf(&replica.FatalError{Cause: replica.CauseIO, Err: errors.New("x")}), exitIO},
		{faultOf(&replica.FatalError{Cause: replica.CauseStall, Err: errors.New("x")}), exitRestart},
		{faultOf(&replica.FatalError{Cause: replica.CauseDamage, Err: &engine.CorruptError{}}), exitRestart},
		{faultOf(&replica.FatalError{Cause: replica.CauseRefuse, Err: errors.New("x")}), exitDamaged},
	} {
		if got := exitCode(c.err); got != c.code {
			t.Errorf("%v: %d, want %d", c.err, got, c.code)
		}
		if wrapped := fmt.Errorf("wrapped: %w", c.err); c.err != nil && exitCode(wrapped) != c.code {
			t.Errorf("%v: %d, want %d", wrapped, exitCode(wrapped), c.code)
		}
	}
}

func TestTheLastWordIsOneLine(t *testing.T) {
	if got := oneLine(errors.Join(errors.New("a\tb"), errors.New("c"))); got != "a b; c" {
		t.Fatalf("got %q", got)
	}
}

// stuckWriter is a log on a disk that hangs.
type stuckWriter struct{ released chan struct{} }

func (w stuckWriter) Write(data []byte) (int, error) {
	<-w.released
	return len(data), nil
}

func TestTheLastWordHoldsNobodyUp(t *testing.T) {
	stuck := stuckWriter{released: make(chan struct{})}
	defer close(stuck.released)
	stall := faultOf(&replica.FatalError{Cause: replica.CauseStall, Err: errors.New("the disk hangs")})
	if got := reportWithin(time.Millisecond, stuck, stall); got != exitRestart {
		t.Fatalf("exit code %d, want %d", got, exitRestart)
	}
	var said bytes.Buffer
	reportWithin(time.Minute, &said, stall)
	if said.String() != "kvnode: the disk hangs\n" {
		t.Fatalf("said %q", said.String())
	}
}
