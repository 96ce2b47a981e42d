package main

import (
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"kvorum/node/clock"
)

// Timer slack is how late the kernel may let a sleeping thread of this process wake, in ns. Linux's own is 50,000.
//
// Go's runtime has a thread, sysmon, that sleeps for 20 us again and again while anything runs. A node works in bursts of
// a tenth of a millisecond, with system calls in them, and each burst wakes it: with the kernel's slack that took a
// sixth of a node's CPU under load and a quarter of it for a lone write, with 1 ms still a twelfth, with 4 ms next to nothing.
//
// But sysmon is also who takes the processor from a goroutine that waits in an fsync. A node with one processor does nothing
// else until then: with fsyncs of 2 ms a slack of 4 ms lost a fifth of the operations against 1 ms. And with several processors
// work spreads later, as a thread that looks for some sleeps before it takes the newest. So the larger one is for nodes with one
// processor and a disk whose fsyncs are over before anybody would look. (Clocks are not late, only who sleeps: nothing is
// concluded from a timer that has gone off.)
const (
	timerSlack     = 1_000_000
	timerSlackMost = 4_000_000
	// fastSync is how long an fsync may take for timerSlackMost.
	fastSync = 500 * time.Microsecond
)

// From linux/prctl.h.
const (
	prSetTimerSlack = 29
	prGetTimerSlack = 30
)

// begunAgain is in the environment of a process that has begun again: it never does so twice.
const begunAgain = "KVNODE_BEGUN_AGAIN"

// relaxTimers gives every thread of the process more timer slack. A thread inherits it from the one that starts it, and
// sysmon is started before any code of ours runs: so the program sets it and begins again, as the same process. Where the
// kernel does not take it (it ignores it for real-time processes) the program goes on as it is.
func relaxTimers(args []string) {
	if os.Getenv(begunAgain) != "" {
		return
	}
	config, err := parse(args, io.Discard)
	if err != nil || config.version {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	// Until it has begun again: another thread would hand the kernel's slack on.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if setSlack(slackFor(config, syncTime)) {
		_ = syscall.Exec(self, os.Args, append(os.Environ(), begunAgain+"=1"))
	}
}

func slackFor(c config, syncTime func(dir string, clock clock.Clock) (time.Duration, error)) uintptr {
	if processors(c) != 1 {
		return timerSlack
	}
	if took, err := syncTime(c.data, clock.Real()); err != nil || took > fastSync {
		return timerSlack
	}
	return timerSlackMost
}

// setSlack sets it for this thread, and is false if there is nothing to begin again for.
func setSlack(slack uintptr) bool {
	if hasSlack(slack) {
		return false
	}
	_, _, failed := syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, slack, 0)
	return failed == 0 && hasSlack(slack)
}

func hasSlack(slack uintptr) bool {
	now, _, failed := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	return failed == 0 && now >= slack
}
