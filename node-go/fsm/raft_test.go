package fsm

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/engine/memory"
)

// A real Raft that has met a fatal error: the entry is not answered, and the node can still be taken down.
func TestRaftShutsDownAfterAFatalError(t *testing.T) {
	fatal := make(chan error, 1)
	f, err := New(memory.New(), Options{Log: quiet(), OnFatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	elected := make(chan bool, 10)
	config := raft.DefaultConfig()
	config.LocalID, config.NotifyCh, config.Logger = "a", elected, hclog.NewNullLogger()
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	log, snapshots := raft.NewInmemStore(), raft.NewDiscardSnapshotStore()
	address, transport := raft.NewInmemTransport("a")
	r, err := raft.NewRaft(config, f, log, log, snapshots, transport)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.BootstrapCluster(raft.Configuration{Servers: []raft.Server{{ID: "a", Address: address}}}).Error(); err != nil {
		t.Fatal(err)
	}
	<-elected
	future := r.Apply([]byte("not a command"), 0)
	if cause := <-fatal; cause == nil {
		t.Fatal("no cause")
	}
	shutdown := r.Shutdown()
	f.Close()
	if err := shutdown.Error(); err != nil {
		t.Fatal(err)
	}
	if err := future.Error(); err == nil {
		if applied := future.Response().(*Applied); applied.Err == nil || !errors.Is(applied.Err, ErrStopped) {
			t.Fatalf("answered %+v", applied)
		}
	}
	if f.Applied() != 1 { // the configuration
		t.Fatalf("applied %d", f.Applied())
	}
}
