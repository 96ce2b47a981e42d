package raftlog

import (
	"testing"
	"time"

	walfs "github.com/hashicorp/raft-wal/fs"

	"kvorum/node/clock/clocktest"
)

// paced is a pace on a clock that the test moves, and how often it has told of a change.
type paced struct {
	*pace
	clock *clocktest.Manual
	told  chan struct{}
}

func newPaced() *paced {
	p := &paced{clock: clocktest.New(), told: make(chan struct{}, 100)}
	p.pace = &pace{clock: p.clock, changed: func() { p.told <- struct{}{} }}
	return p
}

// write notes so many appends, one a second.
func (p *paced) write(count int, each time.Duration) {
	for range count {
		p.clock.Advance(time.Second)
		p.took(each)
	}
}

func (p *paced) mustBe(t *testing.T, want time.Duration, told int) {
	t.Helper()
	if got := p.now(); got != want {
		t.Errorf("pace %s, want %s", got, want)
	}
	if got := len(p.told); got != told {
		t.Errorf("told %d times, want %d", got, told)
	}
}

func TestPaceIsTheMedianOfTheLastAppends(t *testing.T) {
	p := newPaced()
	p.write(paceWindow-1, 50*time.Millisecond)
	p.mustBe(t, 0, 0)
	p.write(1, 50*time.Millisecond)
	p.mustBe(t, 50*time.Millisecond, 1)
	// Outliers either way.
	p.write(3, time.Second)
	p.write(3, 0)
	p.mustBe(t, 50*time.Millisecond, 1)
	p.write(paceWindow, 2*time.Millisecond)
	p.mustBe(t, 0, 2)
	p.close()
}

func TestPaceIsToldOnlyWhenItHasChangedMuchAndOnceASecond(t *testing.T) {
	p := newPaced()
	p.write(paceWindow, 30*time.Millisecond)
	p.write(paceWindow, 39*time.Millisecond)
	p.mustBe(t, 30*time.Millisecond, 1)
	p.write(paceWindow, 41*time.Millisecond)
	p.mustBe(t, 41*time.Millisecond, 2)
	for range 10 * paceWindow {
		p.took(time.Second)
	}
	p.mustBe(t, 41*time.Millisecond, 2)
	p.write(1, time.Second)
	p.mustBe(t, time.Second, 3)
	p.close()
}

func TestPaceOfWhoAppendsNothingIsForgotten(t *testing.T) {
	p := newPaced()
	p.write(paceWindow, 30*time.Millisecond)
	p.clock.Advance(paceIdle / 2)
	p.write(1, 30*time.Millisecond)
	// When it was to be forgotten it was not that old any more: another timer runs for what is left.
	p.clock.Advance(paceIdle/2 - time.Second)
	p.clock.AwaitTimers(1)
	p.mustBe(t, 30*time.Millisecond, 1)
	p.clock.Advance(paceIdle/2 + time.Second)
	<-p.told
	<-p.told
	p.mustBe(t, 0, 0)
	// It begins anew.
	p.write(paceWindow-1, 30*time.Millisecond)
	p.mustBe(t, 0, 0)
	p.write(1, 30*time.Millisecond)
	p.mustBe(t, 30*time.Millisecond, 1)
	p.close()
	p.clock.Advance(2 * paceIdle)
	p.mustBe(t, 30*time.Millisecond, 1)
}

func TestTheLogTellsHowLongItsDiskTakes(t *testing.T) {
	h := newHarness(t)
	manual := clocktest.New()
	told := make(chan struct{}, 10)
	h.options.Clock, h.options.PaceChanged = manual, func() { told <- struct{}{} }
	h.options.segmentFS = &hookedFS{FS: walfs.New(), before: func(call, _ string, _ []byte, _ int64) error {
		if call == "fsync" {
			manual.Advance(100 * time.Millisecond)
		}
		return nil
	}}
	l := h.open()
	for index := range uint64(paceWindow) {
		if got := l.Pace(); got != 0 {
			t.Fatalf("after %d appends: %s", index, got)
		}
		mustStore(t, l, entries(index+1, index+1, 1))
	}
	if got := l.Pace(); got != 100*time.Millisecond {
		t.Errorf("pace %s", got)
	}
	<-told
}
