package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"kvorum/node/clock/clocktest"
)

func bench(level slog.Level) (hclog.Logger, *bytes.Buffer, *clocktest.Manual) {
	var out bytes.Buffer
	clock := clocktest.New()
	handler := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return HCLog(slog.New(handler), "raft", clock, nil), &out, clock
}

func expect(t *testing.T, out *bytes.Buffer, want string) {
	t.Helper()
	if got := strings.TrimSpace(out.String()); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	out.Reset()
}

func TestLinesAreStructured(t *testing.T) {
	log, out, _ := bench(slog.LevelInfo)
	log.Info("hello", "n", 3, "error", errors.New("bad"), "servers", hclog.Fmt("%+v", []int{1}))
	expect(t, out, `level=INFO msg=hello component=raft n=3 error=bad servers=[1]`)
	log.Debug("not at this level")
	log.Trace("nor this")
	expect(t, out, "")
	log.Named("net").With("peer", "a").Warn("careful")
	expect(t, out, `level=WARN msg=careful component=raft.net peer=a`)
	log.StandardLogger(nil).Print("a line")
	expect(t, out, `level=INFO msg="a line" component=raft`)
}

func TestLevels(t *testing.T) {
	log, _, _ := bench(slog.LevelWarn)
	if log.IsTrace() || log.IsDebug() || log.IsInfo() || !log.IsWarn() || !log.IsError() || log.GetLevel() != hclog.Warn {
		t.Fatal("the levels are not the node's")
	}
}

func TestRepeatsAreLeftOutAndCounted(t *testing.T) {
	log, out, clock := bench(slog.LevelInfo)
	for range 5 {
		log.Error("failed to heartbeat to", "peer", "a", "backoff", clock.Now())
	}
	log.Error("failed to heartbeat to", "peer", "b")
	if lines := strings.Count(out.String(), "\n"); lines != 2 {
		t.Fatalf("%d lines:\n%s", lines, out)
	}
	out.Reset()
	clock.Advance(repeatQuiet)
	log.With("shard", 1).Error("failed to heartbeat to", "peer", "a")
	expect(t, out, `level=ERROR msg="failed to heartbeat to" component=raft shard=1 peer=a left_out=4`)
	for range 2 {
		log.Info("news are never left out")
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2 {
		t.Fatalf("%d lines", lines)
	}
}
