package telemetry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func endingBench(level slog.Level) (hclog.Logger, *Ending, func(*testing.T, string)) {
	var ending Ending
	log, out, clock := bench(level)
	adapted := HCLog(log.(*adaptor).base, "raft", clock, &ending)
	return adapted, &ending, func(t *testing.T, want string) { t.Helper(); expect(t, out, want) }
}

var errClosed = fmt.Errorf("read tcp: %w", net.ErrClosed)

func TestHangUpsAreErrorsWhileTheNodeRuns(t *testing.T) {
	log, _, expect := endingBench(slog.LevelInfo)
	log.Error("failed to decode incoming command", "error", errClosed)
	expect(t, `level=ERROR msg="failed to decode incoming command" component=raft error="read tcp: use of closed network connection"`)
	log.Warn("failed to contact", "server-id", "a")
	expect(t, `level=WARN msg="failed to contact" component=raft server-id=a`)
}

func TestHangUpsAreForDebuggingOnceItEnds(t *testing.T) {
	log, ending, expect := endingBench(slog.LevelInfo)
	named := log.Named("net").With("shard", 1)
	ending.Begin()
	named.Error("failed to decode incoming command", "error", errClosed)
	log.Error("failed to heartbeat to", "peer", "a", "backoff time", 10, "error", io.EOF)
	log.Warn("failed to contact", "server-id", "a")
	expect(t, "")

	log, ending, expect = endingBench(slog.LevelDebug)
	ending.Begin()
	log.Error("failed to heartbeat to", "peer", "a", "error", io.EOF)
	expect(t, `level=DEBUG msg="failed to heartbeat to" component=raft peer=a error=EOF`)
}

func TestOtherErrorsStayErrorsWhileItEnds(t *testing.T) {
	log, ending, expect := endingBench(slog.LevelInfo)
	ending.Begin()
	log.Error("failed to decode incoming command", "error", errors.New("unknown rpc type 99"))
	expect(t, `level=ERROR msg="failed to decode incoming command" component=raft error="unknown rpc type 99"`)
	log.Error("failed to commit logs", "error", io.EOF)
	expect(t, `level=ERROR msg="failed to commit logs" component=raft error=EOF`)
}
