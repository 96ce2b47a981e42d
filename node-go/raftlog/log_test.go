package raftlog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

func TestEntriesSurviveReopening(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	mustHold(t, l, 0, 0, 0)
	for i := uint64(1); i <= 300; i += 3 {
		mustStore(t, l, entries(i, i+2, 1))
	}
	mustHold(t, l, 1, 300, 1)
	l.forget()
	mustHold(t, l, 1, 300, 1)
	l.Close()
	mustHold(t, h.open(), 1, 300, 1)
	var got raft.Log
	if err := h.open().GetLog(301, &got); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("got %v", err)
	}
	if len(h.reported()) > 0 {
		t.Errorf("reported %v", h.reported())
	}
}

func TestStableStoreSurvivesReopening(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	if n, err := l.GetUint64([]byte("CurrentTerm")); n != 0 || err != nil {
		t.Errorf("nothing stored yet: %d, %v", n, err)
	}
	for _, err := range []error{
		l.SetUint64([]byte("CurrentTerm"), 7), l.SetUint64([]byte("LastVoteTerm"), 7), l.Set([]byte("LastVoteCand"), []byte("b")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	l = h.open()
	term, err := l.GetUint64([]byte("CurrentTerm"))
	vote, err2 := l.Get([]byte("LastVoteCand"))
	if term != 7 || string(vote) != "b" || err != nil || err2 != nil {
		t.Errorf("term %d, vote %q, %v, %v", term, vote, err, err2)
	}
}

func TestTermsNeverGoBack(t *testing.T) {
	for _, key := range []string{"CurrentTerm", "LastVoteTerm"} {
		h := newHarness(t)
		l := h.open()
		for _, term := range []uint64{7, 7, 8} {
			if err := l.SetUint64([]byte(key), term); err != nil {
				t.Fatal(err)
			}
		}
		var back *TermError
		if err := l.SetUint64([]byte(key), 7); !errors.As(err, &back) {
			t.Errorf("got %v", err)
		}
		if len(h.reported()) != 1 {
			t.Errorf("reported %v", h.reported())
		}
		if term, err := l.GetUint64([]byte(key)); term != 8 || err != nil {
			t.Errorf("term %d, %v", term, err)
		}
	}
}

func TestDeletions(t *testing.T) {
	for _, test := range []struct {
		name                   string
		minimum, maximum       uint64
		wantFirst, wantLast    uint64
		appendFirst, appendEnd uint64
	}{
		{"the beginning", 1, 99, 100, 200, 201, 210},
		{"the beginning, in the newest segment", 1, 199, 200, 200, 201, 210},
		{"the end", 150, 200, 1, 149, 150, 210},
		{"one entry at the end", 200, 200, 1, 199, 200, 210},
		{"all", 1, 200, 0, 0, 201, 210},
		{"all, and a snapshot leaves a gap", 1, 200, 0, 0, 5001, 5010},
		{"nothing", 201, 300, 1, 200, 201, 210},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t)
			l := h.open()
			for i := uint64(1); i <= 200; i += 10 {
				mustStore(t, l, entries(i, i+9, 1))
			}
			if err := l.DeleteRange(test.minimum, test.maximum); err != nil {
				t.Fatal(err)
			}
			mustHold(t, l, test.wantFirst, test.wantLast, 1)
			var got raft.Log
			for _, gone := range []uint64{test.wantFirst - 1, test.wantLast + 1} {
				if err := l.GetLog(gone, &got); !errors.Is(err, raft.ErrLogNotFound) {
					t.Errorf("entry %d: %v", gone, err)
				}
			}
			mustStore(t, l, entries(test.appendFirst, test.appendEnd, 1))
			first := test.wantFirst
			if first == 0 {
				first = test.appendFirst
			}
			mustHold(t, l, first, test.appendEnd, 1)
			l.Close()
			mustHold(t, h.open(), first, test.appendEnd, 1)
		})
	}
}

// What replaces a deleted end is what is read, from the cache and from the disk.
func TestReplacedEntriesAreTheNewOnes(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	mustStore(t, l, entries(1, 50, 1))
	if err := l.DeleteRange(20, 50); err != nil {
		t.Fatal(err)
	}
	mustStore(t, l, entries(20, 30, 2))
	for range 2 {
		for i := uint64(1); i <= 30; i++ {
			term := uint64(1)
			if i >= 20 {
				term = 2
			}
			var got raft.Log
			if err := l.GetLog(i, &got); err != nil || !same(&got, entry(i, term)) {
				t.Fatalf("entry %d: %+v, %v", i, got, err)
			}
		}
		l.forget()
	}
}

func TestAppendedAndSizes(t *testing.T) {
	h := newHarness(t)
	var appended int64
	h.options.Appended = func(bytes int64) { appended += bytes }
	l := h.open()
	for i := uint64(1); i <= 2000; i += 20 {
		mustStore(t, l, entries(i, i+19, 1))
	}
	if got := l.BytesSince(0); got != appended || got == 0 {
		t.Errorf("%d bytes since the start, %d appended", got, appended)
	}
	near(t, "since the middle", l.BytesSince(1000), appended/2)
	near(t, "entries of a quarter of the bytes", int64(l.TrailingEntries(appended/4)), 500)
	if got := l.TrailingEntries(appended); got != 2000 {
		t.Errorf("%d entries are all", got)
	}
	l.Close()
	l = h.open()
	near(t, "since the start, reopened", l.BytesSince(0), appended)
	near(t, "since the middle, reopened", l.BytesSince(1000), appended/2)
	if err := l.DeleteRange(1, 1000); err != nil {
		t.Fatal(err)
	}
	near(t, "since the start, with half of it deleted", l.BytesSince(0), appended/2)
	if err := l.DeleteRange(1501, 2000); err != nil {
		t.Fatal(err)
	}
	near(t, "since the start, with three quarters deleted", l.BytesSince(0), appended/4)
	if err := l.DeleteRange(1001, 1500); err != nil {
		t.Fatal(err)
	}
	if got := l.BytesSince(0); got != 0 {
		t.Errorf("%d bytes of nothing", got)
	}
}

func near(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got < want*85/100 || got > want*115/100 {
		t.Errorf("%s: %d, want about %d", what, got, want)
	}
}

func TestClosedLogRefuses(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	mustStore(t, l, entries(1, 10, 1))
	l.Close()
	l.forget()
	if err := l.GetLog(1, new(raft.Log)); err == nil {
		t.Error("reads")
	}
	if err := l.StoreLogs(entries(11, 11, 1)); err == nil {
		t.Error("writes")
	}
}

func BenchmarkStoreLogs(b *testing.B) {
	for _, size := range []int{300, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h := newHarness(&testing.T{})
			h.dir = b.TempDir()
			h.options.SegmentBytes = 0
			l, err := Open(h.dir, h.options)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			data := make([]byte, size)
			b.SetBytes(int64(size))
			index := uint64(0)
			for b.Loop() {
				index++
				if err := l.StoreLogs([]*raft.Log{{Index: index, Term: 1, Data: data}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
