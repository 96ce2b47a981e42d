package replica

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/raftlog"
	"kvorum/node/snapshot"
	"kvorum/node/stall"
	"kvorum/node/vfs"
)

// fakeSnapshots are one, up to an entry.
type fakeSnapshots uint64

func (s fakeSnapshots) Covered() uint64 { return uint64(s) }

func (s fakeSnapshots) Newest() (snapshot.Info, bool) {
	return snapshot.Info{Index: uint64(s), Term: 2}, true
}

func (s fakeSnapshots) Configuration() (raft.Configuration, uint64) { return raft.Configuration{}, 0 }

func noConfigurations() *configurations {
	return &configurations{snapshots: fakeSnapshots(0), changed: func() {}}
}

func openLog(t *testing.T) *raftlog.Log {
	t.Helper()
	log, err := raftlog.Open(t.TempDir(), raftlog.Options{
		FS: vfs.OS(), Clock: clock.Real(), Log: slog.New(slog.DiscardHandler), WALLog: hclog.NewNullLogger(),
		OnStall: func(err *stall.Error) { t.Error(err) }, OnFailure: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// Raft may compact up to a snapshot and truncate behind one. Across its end it would forget entries that it goes on to
// acknowledge.
func TestTheLogIsNotEmptiedBeyondASnapshot(t *testing.T) {
	open := func() *raftlog.Log {
		log := openLog(t)
		for i := uint64(1); i <= 10; i++ {
			if err := log.StoreLog(&raft.Log{Index: i, Term: 1}); err != nil {
				t.Fatal(err)
			}
		}
		return log
	}
	for _, c := range []struct {
		name              string
		covered, from, to uint64
		installed         bool
		refused           bool
		first, last       uint64
	}{
		{"compaction", 5, 1, 5, false, false, 6, 10},
		{"truncation", 5, 6, 10, false, false, 1, 5},
		{"install over a shorter log", 20, 1, 10, true, false, 0, 0},
		{"install within the log", 5, 1, 10, true, true, 1, 10},
		{"install ahead of the log", 5, 6, 10, true, true, 1, 10},
		{"install over a log that ends with it", 10, 1, 10, true, true, 1, 10},
	} {
		var fatal *FatalError
		guarded := &logGuard{Log: open(), snapshots: fakeSnapshots(c.covered), onFatal: func(err *FatalError) { fatal = err }, configurations: noConfigurations()}
		guarded.installed.Store(c.installed)
		err := guarded.DeleteRange(c.from, c.to)
		if refused := errors.Is(err, errLogBeyondSnapshot); refused != c.refused || refused != (fatal != nil) || !refused && err != nil {
			t.Errorf("%s: %v, fatal %v", c.name, err, fatal)
		}
		if fatal != nil && fatal.Cause != CauseRestart {
			t.Errorf("%s: the cause is %v", c.name, fatal.Cause)
		}
		first, _ := guarded.FirstIndex()
		last, _ := guarded.LastIndex()
		if first != c.first || last != c.last {
			t.Errorf("%s: the log is %d to %d", c.name, first, last)
		}
	}
}

// A message from before an install must not fill the log that the install has emptied.
func TestWhatASnapshotStandsForIsNotStored(t *testing.T) {
	for index, refused := range map[uint64]bool{1: true, 5: true, 6: false} {
		var fatal *FatalError
		guarded := &logGuard{Log: openLog(t), snapshots: fakeSnapshots(5), onFatal: func(err *FatalError) { fatal = err }, configurations: noConfigurations()}
		err := guarded.StoreLog(&raft.Log{Index: index, Term: 1})
		if (err != nil) != refused || (fatal != nil) != refused || fatal != nil && fatal.Cause != CauseRestart {
			t.Errorf("entry %d: %v, fatal %v", index, err, fatal)
		}
	}
}
