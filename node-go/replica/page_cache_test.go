package replica

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"kvorum/node/fsm"
	"kvorum/node/vfs/vfstest"
)

/*
A process whose fsync failed, or that was killed in it, leaves its last batch in the page cache. The next process finds it there,
whole, and would tell others that it has it. A power cut takes it away again. (raftlog: renewTail.)
*/

// failNextSync makes the next fsync of the Raft log fail, and none after it.
func failNextSync(disk *vfstest.FS) {
	var failed atomic.Bool
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "fsync" && strings.HasSuffix(op.Path, ".wal") && failed.CompareAndSwap(false, true) {
			return vfstest.Fault{Err: syscall.EIO}
		}
		return vfstest.Fault{}
	})
}

func TestWhatWasReadIsNotTakenBack(t *testing.T) {
	disk := vfstest.New()
	if err := errors.Join(disk.MkdirAll("/node"), disk.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, 1, patient, func(_ int, o *Options) { o.FS, o.Dir = disk, "/node" })
	n := c.leader()
	n.mustPut("k", "old")
	failNextSync(disk)
	answer := background(func() fsm.Result { return n.put("k", "new") })
	receive(t, n.fatal)
	n.crash()
	if result := receive(t, answer); result.Err == nil {
		t.Fatal("it was acknowledged")
	}
	n.open()
	n = c.leader()
	read, err := n.get("k")
	if err != nil {
		t.Fatal(err)
	}
	n.mustPut("another", "value")
	// Everything that was not fsynced is lost.
	after := disk.Crash(vfstest.Losses(0)["all"])
	n.crash()
	n.options.FS = after
	n.open()
	n = c.leader()
	n.mustGet("k", read)
	n.mustGet("another", "value")
}
