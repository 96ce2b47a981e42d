package snapshot

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"kvorum/node/engine"
)

// received is a node at entry 5 that crashed after it had received a snapshot, and before it restored it.
func crashedInInstall(t *testing.T, stream []byte) (*Store, engine.Engine, func() []string) {
	fsys := newFS(t)
	e := openEngine(t, fsys)
	advance(t, e, 5)
	if _, err := receive(openStore(t, fsys, e), 30, 2, stream); err != nil {
		t.Fatal(err)
	}
	return openStore(t, fsys, e), e, func() []string { return files(t, fsys) }
}

func TestFinishRestoresWhatWasReceived(t *testing.T) {
	s, e, left := crashedInInstall(t, content(t, at(t, 40)))
	log := logOf(t, 1, 7, 1)
	if err := s.FinishRestore(log); err != nil {
		t.Fatal(err)
	}
	requireContentAt(t, e, 40)
	if newest, ok := s.Newest(); !ok || newest.Index != 30 || newest.Needs != 40 || len(left()) != 1 {
		t.Fatalf("newest %+v, files %v", newest, left())
	}
	if last, _ := log.LastIndex(); last != 0 {
		t.Fatalf("the log still ends at %d", last)
	}
	if err := s.FinishRestore(log); err != nil { // again
		t.Fatal(err)
	}
}

// The restore had succeeded, but the crash came before the file was dropped.
func TestFinishDropsWhatTheEngineHas(t *testing.T) {
	s, e, left := crashedInInstall(t, content(t, at(t, 40)))
	if _, err := e.Restore(bytes.NewReader(content(t, at(t, 41)))); err != nil {
		t.Fatal(err)
	}
	if err := s.FinishRestore(raft.NewInmemStore()); err != nil {
		t.Fatal(err)
	}
	requireContentAt(t, e, 41)
	if got := list(t, s); len(got) != 1 || len(left()) != 1 {
		t.Fatalf("snapshots %v, files %v", got, left())
	}
}

// Raft has not answered for it: without it the node is as it was.
func TestFinishDropsABrokenStream(t *testing.T) {
	stream := content(t, at(t, 40))
	stream[len(stream)/2] ^= 1
	for name, prepare := range map[string]func(s *Store){
		"flipped": func(*Store) {},
		"gone": func(s *Store) {
			if err := s.fs.Remove(s.streamPath(s.records[0].id)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, e, left := crashedInInstall(t, stream)
			prepare(s)
			log := logOf(t, 1, 7, 1)
			if err := s.FinishRestore(log); err != nil {
				t.Fatal(err)
			}
			requireContentAt(t, e, 5)
			if last, _ := log.LastIndex(); last != 7 || len(left()) != 0 {
				t.Fatalf("the log ends at %d, files %v", last, left())
			}
		})
	}
}

func TestAnEngineThatHasLostDataIsReported(t *testing.T) {
	fsys, e := newFS(t), at(t, 20)
	if err := take(openStore(t, fsys, e), 25); err != nil {
		t.Fatal(err)
	}
	log := logOf(t, 10, 30, 1)
	var lost *engine.CorruptError
	if err := openStore(t, fsys, at(t, 19)).FinishRestore(log); !errors.As(err, &lost) {
		t.Fatal(err)
	}
	if err := openStore(t, fsys, at(t, 20)).FinishRestore(log); err != nil { // 21 to 25 are no commands
		t.Fatal(err)
	}
	s := openStore(t, fsys, at(t, 0))
	if newest, _ := s.Newest(); newest.Needs != 20 {
		t.Fatalf("a peer is asked for entry %d", newest.Needs)
	}
}

func TestTheLogIsAlignedWithTheSnapshot(t *testing.T) {
	for name, c := range map[string]struct {
		first, last, term uint64
		want              string
	}{
		"goes on behind it":       {12, 30, 1, "kept"},
		"ends with it":            {12, 20, 1, "kept"},
		"begins right after it":   {21, 30, 1, "kept"},
		"ends before it":          {1, 19, 1, "emptied"},
		"disagrees at its index":  {1, 30, 9, "emptied"},
		"disagrees, ends with it": {1, 20, 9, "emptied"},
		"begins too late":         {22, 30, 1, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			e := at(t, 20)
			s := openStore(t, newFS(t), e)
			if err := take(s, 20); err != nil {
				t.Fatal(err)
			}
			log := logOf(t, c.first, c.last, c.term)
			err := s.FinishRestore(log)
			last, _ := log.LastIndex()
			switch c.want {
			case "kept":
				if err != nil || last != c.last {
					t.Fatalf("ends at %d, error %v", last, err)
				}
			case "emptied":
				if err != nil || last != 0 {
					t.Fatalf("ends at %d, error %v", last, err)
				}
			case "missing":
				requireCorrupt(t, err)
			}
		})
	}
	t.Run("no snapshot", func(t *testing.T) {
		s := openStore(t, newFS(t), at(t, 0))
		if err := s.FinishRestore(logOf(t, 1, 9, 1)); err != nil {
			t.Fatal(err)
		}
		requireCorrupt(t, s.FinishRestore(logOf(t, 2, 9, 1)))
		if err := s.FinishRestore(raft.NewInmemStore()); err != nil { // a new node
			t.Fatal(err)
		}
		requireCorrupt(t, openStore(t, newFS(t), at(t, 1)).FinishRestore(raft.NewInmemStore()))
	})
}

// The log store that is used: it refuses an entry that leaves a gap, so that a node that crashed between an install and
// the removal of its old log could never again append.
func TestARealLogGoesOnAfterAnInterruptedInstall(t *testing.T) {
	log, err := wal.Open(t.TempDir(), wal.WithSegmentSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i := uint64(1); i <= 7; i++ {
		if err := log.StoreLog(&raft.Log{Index: i, Term: 1}); err != nil {
			t.Fatal(err)
		}
	}
	next := &raft.Log{Index: 31, Term: 2}
	if log.StoreLog(next) == nil {
		t.Fatal("the log store accepts gaps: aligning has lost its reason")
	}
	s, _, _ := crashedInInstall(t, content(t, at(t, 40)))
	if err := s.FinishRestore(log); err != nil {
		t.Fatal(err)
	}
	if err := log.StoreLog(next); err != nil {
		t.Fatal(err)
	}
}
