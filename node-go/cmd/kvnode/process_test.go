package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
)

// testLimit ends a test that hangs; nothing waits for it otherwise.
const testLimit = 30 * time.Second

// asNode in the environment makes this test's binary behave as kvnode, so that tests run the real process.
const asNode = "KVORUM_TEST_AS_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(asNode) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a running kvnode.
type process struct {
	command *exec.Cmd
	errs    bytes.Buffer
	ready   map[string]string
	conn    *grpc.ClientConn
	admin   nodev1.NodeClient
	kv      kvorumv1.KVClient
}

func nodeCommand(args ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), asNode+"=1")
	return command
}

func flags(dir string, more ...string) []string {
	return append([]string{"--data", dir, "--cluster", "test", "--shard", "3"}, more...)
}

// launch starts a node and waits for its ready line.
func launch(t *testing.T, dir string, more ...string) *process {
	t.Helper()
	p := &process{command: nodeCommand(flags(dir, more...)...)}
	p.command.Stderr = &p.errs
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Fails when the test has ended it.
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line: %v; %s", err, p.errs.String())
	}
	match := regexp.MustCompile(`^kvnode ready id=([a-z2-7]{16}) shard=\d+ address=(127\.0\.0\.1:\d+) pid=(\d+)\n$`).FindStringSubmatch(line)
	if match == nil || match[3] != fmt.Sprint(p.command.Process.Pid) {
		t.Fatalf("ready line %q", line)
	}
	p.ready = map[string]string{"id": match[1], "address": match[2]}
	p.conn, err = grpc.NewClient(match[2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	p.admin, p.kv = nodev1.NewNodeClient(p.conn), kvorumv1.NewKVClient(p.conn)
	return p
}

// end waits for the exit code.
func (p *process) end(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait()
	return p.command.ProcessState.ExitCode()
}

// bootstrap makes the processes one shard that owns everything, and waits until it serves.
func bootstrap(t *testing.T, ctx context.Context, all ...*process) {
	t.Helper()
	var members []*kvorumv1.Node
	for _, p := range all {
		members = append(members, &kvorumv1.Node{Id: p.ready["id"], Address: p.ready["address"]})
	}
	for _, p := range all {
		if _, err := p.admin.Bootstrap(ctx, &nodev1.BootstrapRequest{Members: members}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := leaderOf(t, ctx, all...).admin.AssignPartitions(ctx, &nodev1.AssignPartitionsRequest{
		Epoch: 1, Owned: []*nodev1.PartitionRange{{First: 0, Last: 1023}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leaderOf watches all until one is ready.
func leaderOf(t *testing.T, ctx context.Context, all ...*process) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(chan *process, len(all))
	for _, p := range all {
		go func() {
			stream, err := p.admin.Watch(ctx, &nodev1.WatchRequest{})
			for err == nil {
				var update *nodev1.WatchResponse
				if update, err = stream.Recv(); err == nil && update.Status.Ready {
					found <- p
					return
				}
			}
		}()
	}
	select {
	case p := <-found:
		return p
	case <-ctx.Done():
		t.Fatal("no node leads")
		return nil
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	t.Cleanup(cancel)
	return ctx
}

func TestANodeKeepsItsDataAndItsIdentity(t *testing.T) {
	ctx, dir := testContext(t), filepath.Join(t.TempDir(), "made", "by", "it")
	p := launch(t, dir)
	first, err := p.admin.Status(ctx, &nodev1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if s := first.Status; s.ClusterId != "test" || s.Shard != 3 || s.DataDir != dir || s.Pid == 0 || s.Version == "" {
		t.Fatalf("status %v", s)
	}
	bootstrap(t, ctx, p)
	if _, err := p.kv.Put(ctx, &kvorumv1.PutRequest{Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if code := p.end(t, syscall.SIGTERM); code != exitClean {
		t.Fatalf("exit code %d: %s", code, p.errs.String())
	}
	again := launch(t, dir)
	if again.ready["id"] != p.ready["id"] {
		t.Fatal("the node has another id now")
	}
	bootstrapAgain := &nodev1.BootstrapRequest{Members: []*kvorumv1.Node{{Id: again.ready["id"], Address: again.ready["address"]}}}
	if _, err := again.admin.Bootstrap(ctx, bootstrapAgain); err != nil {
		t.Fatal(err)
	}
	leaderOf(t, ctx, again)
	if got, err := again.kv.Get(ctx, &kvorumv1.GetRequest{Key: []byte("k")}); err != nil || string(got.Value) != "v" {
		t.Fatalf("got %v %v", got, err)
	}
}

func TestThreeProcesses(t *testing.T) {
	ctx := testContext(t)
	var all []*process
	for range 3 {
		all = append(all, launch(t, t.TempDir()))
	}
	bootstrap(t, ctx, all...)
	leader := leaderOf(t, ctx, all...)
	if _, err := leader.kv.Put(ctx, &kvorumv1.PutRequest{Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if code := leader.end(t, syscall.SIGINT); code != exitClean {
		t.Fatalf("exit code %d: %s", code, leader.errs.String())
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Fatalf("the end took %s", took)
	}
	var rest []*process
	for _, p := range all {
		if p != leader {
			rest = append(rest, p)
		}
	}
	if got, err := leaderOf(t, ctx, rest...).kv.Get(ctx, &kvorumv1.GetRequest{Key: []byte("k")}); err != nil || string(got.Value) != "v" {
		t.Fatalf("got %v %v", got, err)
	}
	// The last ones have nobody to hand over to, and end all the same.
	for _, p := range rest {
		begin := time.Now()
		if code := p.end(t, syscall.SIGTERM); code != exitClean {
			t.Fatalf("exit code %d: %s", code, p.errs.String())
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Fatalf("the end took %s", took)
		}
	}
}

func TestExitCodes(t *testing.T) {
	held := launch(t, t.TempDir())
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	heldDir := held.command.Args[2]
	other := t.TempDir()
	if launch(t, other).end(t, syscall.SIGTERM) != exitClean {
		t.Fatal("no clean end")
	}
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, identityFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	lost := t.TempDir()
	if err := os.Mkdir(filepath.Join(lost, "raft"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no flags":         {nil, exitUsage, "--data is required; --cluster"},
		"unknown flag":     {[]string{"--nonsense"}, exitUsage, "nonsense"},
		"open to all":      {flags(t.TempDir(), "--listen", "0.0.0.0:0"), exitUsage, "--insecure"},
		"bad peers":        {flags(t.TempDir(), "--peers", "x"), exitUsage, "id=host:port"},
		"directory in use": {flags(heldDir), exitDirectory, fmt.Sprintf("in use by process %d", held.command.Process.Pid)},
		"a file":           {flags(file), exitDirectory, "is a file"},
		"below a file":     {flags(filepath.Join(file, "x")), exitDirectory, "not a directory"},
		"address in use":   {flags(t.TempDir(), "--listen", busy.Addr().String()), exitAddress, "address already in use"},
		"another cluster":  {[]string{"--data", other, "--cluster", "other", "--shard", "3"}, exitWrongData, `cluster "test" shard 3`},
		"another shard":    {[]string{"--data", other, "--cluster", "test", "--shard", "4"}, exitWrongData, `shard 4`},
		"damaged identity": {flags(damaged), exitDamaged, "damaged"},
		"lost identity":    {flags(lost), exitDamaged, "holds data but no identity.json"},
		"help":             {[]string{"--help"}, exitClean, "-data"},
		"version":          {[]string{"--version"}, exitClean, version},
	} {
		t.Run(name, func(t *testing.T) {
			command := nodeCommand(c.args...)
			output, _ := command.CombinedOutput()
			if code := command.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(output), c.says) {
				t.Fatalf("exit code %d, want %d with %q; it says:\n%s", code, c.code, c.says, output)
			}
			if c.code == exitClean {
				return
			}
			lines := strings.Split(strings.TrimSpace(string(output)), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, "kvnode: ") {
				t.Fatalf("the last word is %q", last)
			}
		})
	}
}

func TestALogThatWasTakenAwayIsNotReplacedByAnEmptyOne(t *testing.T) {
	ctx, dir := testContext(t), t.TempDir()
	p := launch(t, dir)
	bootstrap(t, ctx, p)
	if p.end(t, syscall.SIGKILL) == exitClean {
		t.Fatal("killed, and clean")
	}
	if err := os.RemoveAll(filepath.Join(dir, "raft")); err != nil {
		t.Fatal(err)
	}
	command := nodeCommand(flags(dir)...)
	output, _ := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); code != exitDamaged {
		t.Fatalf("exit code %d, want %d:\n%s", code, exitDamaged, output)
	}
}

func TestDamageEndsWithItsExitCode(t *testing.T) {
	ctx, dir := testContext(t), t.TempDir()
	p := launch(t, dir)
	bootstrap(t, ctx, p)
	if _, err := p.kv.Put(ctx, &kvorumv1.PutRequest{Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if p.end(t, syscall.SIGTERM) != exitClean {
		t.Fatal("no clean end")
	}
	logs, err := filepath.Glob(filepath.Join(dir, "raft", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log: %v", err)
	}
	data, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	data[0] ^= 0xff
	if err := os.WriteFile(logs[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	command := nodeCommand(flags(dir)...)
	output, _ := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); code != exitDamaged {
		t.Fatalf("exit code %d, want %d:\n%s", code, exitDamaged, output)
	}
}
