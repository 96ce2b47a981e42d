package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"kvorum/node/engine"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
	"kvorum/node/raftlog"
	"kvorum/node/replica"
	"kvorum/node/snapshot"
	"kvorum/node/vfs"
)

// Exit codes, after sysexits.h where it has the case. Whoever starts nodes decides by them.
const (
	exitClean = 0
	// exitUsage: bad flags. Mend the call.
	exitUsage = 64
	// exitDamaged: damaged data that the node cannot mend by itself. People, or a replacement, are needed.
	exitDamaged = 65
	// exitAddress: the address is in use or cannot be listened on.
	exitAddress = 69
	// exitInternal: a fault in the node itself.
	exitInternal = 70
	// exitDirectory: the data directory is unusable: not a directory, not writable, or in use by another process.
	exitDirectory = 73
	// exitIO: the disk is full, or writing failed. A restart may help once the cause is gone.
	exitIO = 74
	// exitRestart: starting again helps: the disk stalled, or something was found while serving that the next start mends.
	exitRestart = 75
	// exitWrongData: the data directory is another cluster's or shard's.
	exitWrongData = 76
)

// fault is an error with the exit code that it means.
type fault struct {
	code int
	err  error
}

func (f *fault) Error() string { return f.err.Error() }

func (f *fault) Unwrap() error { return f.err }

func faultf(code int, format string, args ...any) *fault {
	return &fault{code: code, err: fmt.Errorf(format, args...)}
}

// exitCode is the exit code of an error that ended the node.
func exitCode(err error) int {
	var known *fault
	var locked *vfs.LockedError
	var number syscall.Errno
	switch {
	case err == nil:
		return exitClean
	case errors.As(err, &known):
		return known.code
	case errors.As(err, &locked):
		return exitDirectory
	case isUnusable(err):
		return exitDamaged
	case errors.As(err, &number):
		return exitCodeOf(number)
	case errors.Is(err, fs.ErrPermission):
		return exitDirectory
	default:
		return exitInternal
	}
}

// isUnusable says whether the data is damaged beyond what the node mends, or written by a newer version.
func isUnusable(err error) bool {
	var (
		engineDamage   *engine.CorruptError
		logDamage      *raftlog.CorruptError
		logFormat      *raftlog.FormatError
		snapshotDamage *snapshot.CorruptError
		state          *kverr.Error
	)
	if errors.As(err, &state) {
		return state.Code == pb.ErrorCode_ERROR_CODE_UNSUPPORTED || state.Code == pb.ErrorCode_ERROR_CODE_CORRUPT
	}
	return errors.As(err, &engineDamage) || errors.As(err, &logDamage) || errors.As(err, &logFormat) ||
		errors.As(err, &snapshotDamage)
}

func exitCodeOf(number syscall.Errno) int {
	switch number {
	case syscall.EADDRINUSE, syscall.EADDRNOTAVAIL:
		return exitAddress
	case syscall.ENOTDIR, syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOENT:
		return exitDirectory
	default:
		return exitIO
	}
}

// faultOf is the fault of a replica that cannot go on.
func faultOf(err *replica.FatalError) *fault {
	code := exitIO
	switch err.Cause {
	case replica.CauseStall, replica.CauseDamage, replica.CauseRestart:
		code = exitRestart
	case replica.CauseRefuse:
		code = exitDamaged
	case replica.CauseIO:
	}
	return &fault{code: code, err: err}
}

// oneLine keeps the last word of a process on one line.
func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
}
