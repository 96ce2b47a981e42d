package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/raft"
)

// Ending is whether a node is in its orderly end. The zero value is not. Safe for concurrent use.
type Ending struct{ begun atomic.Bool }

// Begin says that the end has begun. There is no way back.
func (e *Ending) Begin() { e.begun.Store(true) }

// takes says whether a line only tells that the node, or the peers that stop with it, hang up. nil never ends.
func (e *Ending) takes(message string, args []any) bool {
	if e == nil || !e.begun.Load() {
		return false
	}
	needs, known := hangUps[message]
	return known && (needs == noCause || hungUp(errorOf(args)))
}

type cause bool

const (
	// noCause: the message has no error with it.
	noCause cause = false
	// hangUp: the error must be one of a connection that was closed. Anything else stays what it was.
	hangUp cause = true
)

// hangUps are hashicorp/raft's warnings and errors about connections, as of v1.7.3. One whose words it changes is
// written as before.
var hangUps = map[string]cause{
	"failed to accept connection":                      hangUp,
	"failed to decode incoming command":                hangUp,
	"failed to flush response":                         hangUp,
	"failed to heartbeat to":                           hangUp,
	"failed to appendEntries to":                       hangUp,
	"failed to pipeline appendEntries":                 hangUp,
	"failed to make requestVote RPC":                   hangUp,
	"failed to contact":                                noCause,
	"failed to contact quorum of nodes, stepping down": noCause,
	// Whoever took leadership over says so.
	"peer has newer term, stopping replication": noCause,
}

func hungUp(err error) bool {
	for _, expected := range []error{
		net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, context.Canceled,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
		raft.ErrTransportShutdown, raft.ErrPipelineShutdown,
	} {
		if errors.Is(err, expected) {
			return true
		}
	}
	return false
}

func errorOf(args []any) error {
	for i := 0; i+1 < len(args); i += 2 {
		if err, ok := args[i+1].(error); ok && args[i] == "error" {
			return err
		}
	}
	return nil
}
