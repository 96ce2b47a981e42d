package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kvorum/node/fsm/command"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
)

// testdata/golden has whole data directories that nodes of earlier versions have left, one for each set of formats that there
// was. A node must serve what they hold, and go on. They are never made again: a version that changes a format adds one, with
//
//	go test ./cmd/kvnode -run TestGoldenDirectories -make-golden <name>
//
// before the change. `first` is of the first version, by this file in its source (hints of format 1, no sessions).
var makeGolden = flag.String("make-golden", "", "write testdata/golden/`name`.tar.gz and end")

// golden is a directory: the formats of its hints (engine/bitcask/format_hint.go) and of its commands (fsm/command). `mortals`: it
// has what format 3 got last, transactions and times to live.
type golden struct {
	hints, commands uint32
	mortals         bool
}

var goldens = map[string]golden{
	"first": {1, 1, false}, "hints-2": {2, 1, false}, "commands-2": {2, 2, false}, "commands-3": {2, 3, false}, "transactions-3": {2, 3, true},
}

const (
	goldenKeys   = 40
	goldenRounds = 5
	goldenBytes  = 32 << 10
	// goldenTail are written after the last snapshot, and only in the log when the node is killed.
	goldenTail = 3
)

// smallFiles make several of everything out of a few MiB.
var smallFiles = []string{"--compact-bytes", "1048576", "--trailing-bytes", "1", "--segment-bytes", "1048576"}

func TestGoldenDirectories(t *testing.T) {
	if *makeGolden != "" {
		goldenDirectory(t, filepath.Join("testdata", "golden", *makeGolden+".tar.gz"))
		return
	}
	packed, err := filepath.Glob(filepath.Join("testdata", "golden", "*.tar.gz"))
	if err != nil || len(packed) != len(goldens) {
		t.Fatalf("%v instead of %v: %v", packed, goldens, err)
	}
	for name, kind := range goldens {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, filepath.Join("testdata", "golden", name+".tar.gz"), dir)
			mustHaveEverything(t, dir, kind.hints)
			ctx := testContext(t)
			// As the version that wrote it.
			p := relaunch(t, ctx, dir, kind.commands)
			mustHoldGolden(t, ctx, p)
			mustUse(t, ctx, p, kind.commands)
			if kind.commands >= 3 {
				mustRemember(t, ctx, p)
			}
			if kind.mortals {
				mustRememberTransactions(t, ctx, p)
				mustHoldMortals(t, ctx, p)
			}
			goOn(t, ctx, p)
			// By force: the next one reads what both have written.
			p.end(t, syscall.SIGKILL)
			again := relaunch(t, ctx, dir, command.Format)
			mustHoldGolden(t, ctx, again)
			mustUse(t, ctx, again, kind.commands)
			raiseFormat(t, ctx, again)
			mustHaveGoneOn(t, ctx, again)
			if kind.commands >= 3 {
				mustRemember(t, ctx, again)
			}
			if kind.mortals {
				mustRememberTransactions(t, ctx, again)
				mustHoldMortals(t, ctx, again)
			}
			again.end(t, syscall.SIGKILL)
			mustRefuse(t, dir, command.Format-1)
			mustUse(t, ctx, relaunch(t, ctx, dir, command.Format), command.Format)
		})
	}
}

func mustUse(t *testing.T, ctx context.Context, p *process, format uint32) {
	t.Helper()
	if s := statusOf(t, ctx, p); s.Format != format {
		t.Fatalf("it uses format %d, not %d", s.Format, format)
	}
}

func raiseFormat(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	if _, err := p.admin.RaiseFormat(ctx, &nodev1.RaiseFormatRequest{Format: command.Format}); err != nil {
		t.Fatal(err)
	}
}

// mustRefuse: a version that knows less says so, and leaves the directory alone.
func mustRefuse(t *testing.T, dir string, formatMax uint32) {
	t.Helper()
	node := nodeCommand(flags(dir, "--format-max", fmt.Sprint(formatMax))...)
	output, _ := node.CombinedOutput()
	if code := node.ProcessState.ExitCode(); code != exitDamaged || !bytes.Contains(output, []byte("upgrade")) {
		t.Fatalf("exit code %d:\n%s", code, output)
	}
}

func relaunch(t *testing.T, ctx context.Context, dir string, formatMax uint32) *process {
	t.Helper()
	p := launch(t, dir, append([]string{"--format-max", fmt.Sprint(formatMax)}, smallFiles...)...)
	self := []*kvorumv1.Node{{Id: p.ready["id"], Address: p.ready["address"]}}
	if _, err := p.admin.Bootstrap(ctx, &nodev1.BootstrapRequest{Members: self}); err != nil {
		t.Fatal(err)
	}
	return leaderOf(t, ctx, p)
}

// goldenDirectory is made with what every version knows, and with what came with the newest format.
func goldenDirectory(t *testing.T, path string) {
	ctx, dir := testContext(t), t.TempDir()
	p := launch(t, dir, append([]string{"--format-new", "1"}, smallFiles...)...)
	bootstrap(t, ctx, p)
	for round := 1; round <= goldenRounds; round++ {
		for i := range goldenKeys {
			mustPut(t, ctx, p, goldenKey(i), goldenValue(i, round))
		}
		if round == goldenRounds/2 {
			raiseFormat(t, ctx, p)
			rememberConditions(t, ctx, p)
			rememberTransactions(t, ctx, p)
		}
	}
	for i := range goldenKeys / 4 {
		if _, err := p.kv.Delete(ctx, &kvorumv1.DeleteRequest{Key: goldenKey(4 * i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range goldenTail {
		mustPut(t, ctx, p, fmt.Appendf(nil, "tail-%d", i), []byte("in the log alone"))
	}
	leaveMortals(t, ctx, p)
	p.end(t, syscall.SIGKILL)
	pack(t, dir, path)
}

func goldenKey(i int) []byte { return fmt.Appendf(nil, "golden-%d", i) }

// goldenValue packs well.
func goldenValue(i, round int) []byte {
	return append(fmt.Appendf(nil, "%d in round %d", i, round), bytes.Repeat([]byte{'.'}, goldenBytes)...)
}

func mustHoldGolden(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	for i := range goldenKeys {
		got := mustGet(t, ctx, p, goldenKey(i))
		if i%4 == 0 {
			if got.Found {
				t.Errorf("%s is back", goldenKey(i))
			}
		} else if !bytes.Equal(got.Value, goldenValue(i, goldenRounds)) || got.Version != goldenRounds {
			t.Errorf("%s has version %d, %d bytes: %.30q", goldenKey(i), got.Version, len(got.Value), got.Value)
		}
	}
	for i := range goldenTail {
		if got := mustGet(t, ctx, p, fmt.Appendf(nil, "tail-%d", i)); string(got.Value) != "in the log alone" {
			t.Errorf("tail-%d: %v", i, got)
		}
	}
}

// goOn writes so much that logs and segments are changed, snapshots are taken, and what is old is merged.
func goOn(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	for round := 1; round <= goldenRounds; round++ {
		for i := range goldenKeys {
			mustPut(t, ctx, p, fmt.Appendf(nil, "later-%d", i), goldenValue(i, round))
		}
	}
}

func mustHaveGoneOn(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	for i := range goldenKeys {
		got := mustGet(t, ctx, p, fmt.Appendf(nil, "later-%d", i))
		if !bytes.Equal(got.Value, goldenValue(i, goldenRounds)) {
			t.Errorf("later-%d: %.30q", i, got.Value)
		}
	}
	// What that version has deleted goes on counting where it was.
	if version := mustPut(t, ctx, p, goldenKey(0), []byte("x")); version <= goldenRounds {
		t.Errorf("a key that was deleted begins again with version %d", version)
	}
}

func mustPut(t *testing.T, ctx context.Context, p *process, key, value []byte) uint64 {
	t.Helper()
	put, err := p.kv.Put(ctx, &kvorumv1.PutRequest{Key: key, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	return put.Version
}

func mustGet(t *testing.T, ctx context.Context, p *process, key []byte) *kvorumv1.GetResponse {
	t.Helper()
	got, err := p.kv.Get(ctx, &kvorumv1.GetRequest{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// mustHaveEverything: a directory without some kind of file would prove nothing about it.
func mustHaveEverything(t *testing.T, dir string, hints uint32) {
	t.Helper()
	for _, pattern := range []string{
		"identity.json", "raft/*.wal", "raft/segments", "raft/stable", "engine/MANIFEST", "engine/*.seg", "engine/*.hint",
		"snapshots/*",
	} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(found) == 0 {
			t.Fatalf("there is no %s: %v", pattern, err)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "engine", "*.hint"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if format := binary.LittleEndian.Uint32(data[8:]); format != hints {
			t.Fatalf("%s has format %d, not %d", path, format, hints)
		}
	}
}

func pack(t *testing.T, dir, path string) {
	t.Helper()
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(zip)
	if err := errors.Join(archive.AddFS(os.DirFS(dir)), archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, packed.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes", path, packed.Len())
}

func unpack(t *testing.T, path, dir string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zip)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := unpackOne(archive, header, filepath.Join(dir, filepath.FromSlash(header.Name))); err != nil {
			t.Fatal(err)
		}
	}
}

func unpackOne(archive io.Reader, header *tar.Header, path string) error {
	if header.FileInfo().IsDir() || strings.HasSuffix(header.Name, "/") {
		return os.MkdirAll(path, 0o755)
	}
	content, err := io.ReadAll(archive)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
