package clocktest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kvorum/node/clock"
	"kvorum/node/clock/clocktest"
)

func TestTimersFireInOrder(t *testing.T) {
	c := clocktest.New()
	start := c.Now()
	late, early := c.NewTimer(3*time.Second), c.NewTimer(time.Second)
	c.Advance(999 * time.Millisecond)
	if len(late.C())+len(early.C()) != 0 {
		t.Fatal("fired too early")
	}
	c.Advance(time.Millisecond)
	if at := <-early.C(); at.Sub(start) != time.Second {
		t.Fatal(at)
	}
	c.Advance(time.Hour)
	if at := <-late.C(); at.Sub(start) != 3*time.Second {
		t.Fatal("a timer sees another time than its own:", at)
	}
	if c.Since(start) != time.Hour+time.Second {
		t.Fatal(c.Since(start))
	}
}

func TestStopAndReset(t *testing.T) {
	c := clocktest.New()
	timer := c.NewTimer(time.Second)
	if !timer.Stop() || timer.Stop() {
		t.Fatal("Stop")
	}
	c.Advance(time.Minute)
	if len(timer.C()) != 0 {
		t.Fatal("a stopped timer fired")
	}
	if timer.Reset(time.Second) {
		t.Fatal("a stopped timer was running")
	}
	c.Advance(time.Second)
	if timer.Reset(time.Second) || len(timer.C()) != 0 {
		t.Fatal("Reset leaves a stale value")
	}
	if !timer.Reset(0) || len(timer.C()) != 1 {
		t.Fatal("a timer of no time does not fire")
	}
}

func TestAfterFunc(t *testing.T) {
	c := clocktest.New()
	called := make(chan struct{})
	c.AfterFunc(time.Second, func() { close(called) })
	c.Advance(time.Second)
	<-called
}

// TestWait runs on both clocks.
func TestWait(t *testing.T) {
	manual := clocktest.New()
	done := make(chan error)
	go func() { done <- clock.Wait(context.Background(), manual, time.Hour) }()
	manual.AwaitTimers(1)
	manual.Advance(time.Hour)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []clock.Clock{manual, clock.Real()} {
		if err := clock.Wait(ctx, c, time.Hour); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := clock.Wait(context.Background(), clock.Real(), 0); err != nil {
		t.Fatal(err)
	}
}
