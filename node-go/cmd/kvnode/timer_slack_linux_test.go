package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kvorum/node/clock"
)

// steps is a clock that goes on by the next step whenever it is asked how long something took.
type steps struct {
	clock.Clock
	left []time.Duration
}

func (s *steps) Since(time.Time) time.Duration {
	step := s.left[0]
	s.left = s.left[1:]
	return step
}

func TestSyncTimeIsTheShortestWithoutTheFirst(t *testing.T) {
	dir := t.TempDir()
	took, err := syncTime(filepath.Join(dir, "not", "there"), &steps{
		Clock: clock.Real(), left: []time.Duration{9, 4, 5, 3, 4},
	})
	if err != nil {
		t.Skipf("no files without names here: %v", err)
	}
	if took != 3 {
		t.Errorf("took %d, want 3", took)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestOnlyAFastDiskAndOneProcessorHaveMuchSlack(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	for _, c := range []struct {
		processors int
		took       time.Duration
		err        error
		want       uintptr
	}{
		{1, fastSync, nil, timerSlackMost},
		{1, fastSync + 1, nil, timerSlack},
		{1, 0, os.ErrPermission, timerSlack},
		{2, 0, nil, timerSlack},
	} {
		probe := func(string, clock.Clock) (time.Duration, error) { return c.took, c.err }
		if got := slackFor(config{processors: c.processors}, probe); got != c.want {
			t.Errorf("%+v: slack %d", c, got)
		}
	}
}

// The slack belongs to a thread, and exec hands on that of the one that calls it.
func TestEveryThreadOfANodeHasTheSlack(t *testing.T) {
	if !kernelTakesSlack() {
		t.Skip("the kernel takes no slack here")
	}
	for range 8 {
		p := launch(t, t.TempDir())
		pid := strconv.Itoa(p.command.Process.Pid)
		threads, err := os.ReadDir(filepath.Join("/proc", pid, "task"))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			text, err := os.ReadFile(filepath.Join("/proc", thread.Name(), "timerslack_ns"))
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				continue
			}
			if err != nil {
				t.Skipf("cannot be read here: %v", err)
			}
			if slack, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || slack < timerSlack {
				t.Errorf("thread %s of %s: slack %q", thread.Name(), pid, text)
			}
		}
	}
}

func kernelTakesSlack() bool {
	taken := make(chan bool)
	go func() {
		// Not unlocked: the thread ends with this goroutine, and nobody inherits from it.
		runtime.LockOSThread()
		taken <- setSlack(timerSlack) || hasSlack(timerSlack)
	}()
	return <-taken
}
