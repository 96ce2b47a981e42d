package stall

import (
	"testing"
	"time"

	"kvorum/node/clock/clocktest"
)

const stallLimit = 2 * time.Second

func TestWatchdogLooksTwice(t *testing.T) {
	for _, test := range []struct {
		name    string
		returns time.Duration
		want    bool
	}{
		{"in time", stallLimit - 1, false},
		// As when the process was stopped meanwhile.
		{"between the two looks", stallLimit + secondLook - 1, false},
		{"never", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			manual := clocktest.New()
			stalls := make(chan *Error, 1)
			dog := New(manual, stallLimit, func(err *Error) { stalls <- err })
			done := dog.Watch("append", 0)
			if test.returns > 0 {
				step(manual, test.returns)
				done()
			}
			manual.Advance(stallLimit)
			if test.want {
				manual.AwaitTimers(1)
				manual.Advance(secondLook)
				if err := <-stalls; err.Op != "append" {
					t.Errorf("got %v", err)
				}
				done()
				return
			}
			manual.Advance(time.Hour)
			if len(stalls) > 0 {
				t.Error("taken for a stall")
			}
		})
	}
}

// step advances past the first look and waits for it to have begun the second.
func step(manual *clocktest.Manual, d time.Duration) {
	if d < stallLimit {
		manual.Advance(d)
		return
	}
	manual.Advance(stallLimit)
	manual.AwaitTimers(1)
	manual.Advance(d - stallLimit)
}

func TestACallThatHasMuchToWriteGetsMoreTime(t *testing.T) {
	manual := clocktest.New()
	stalls := make(chan *Error, 1)
	dog := New(manual, stallLimit, func(err *Error) { stalls <- err })
	done := dog.Watch("apply", time.Minute)
	defer done()
	manual.Advance(time.Minute + stallLimit - 1)
	manual.Advance(secondLook)
	if len(stalls) > 0 {
		t.Fatal("taken for a stall too early")
	}
	manual.AwaitTimers(1)
	manual.Advance(secondLook)
	if err := <-stalls; err.After != time.Minute+stallLimit+secondLook {
		t.Errorf("got %v", err)
	}
}
