package main

import (
	"os"
	"runtime"
	"syscall"
)

// timerSlack is how late the kernel may let a sleeping thread of this process wake, in ns. Linux's own is 50,000.
//
// Go's runtime has a thread, sysmon, that sleeps for 20 us again and again while anything runs. A node works in bursts of
// a tenth of a millisecond, with system calls in them, and each burst wakes it: with the kernel's slack that took a
// sixth of a node's CPU under load and a quarter of it for a lone write, and with 1 ms still a twelfth. Nothing in a node needs a
// finer timer than this: what is waited for comes as bytes, and timers are for what does not come.
const timerSlack = 4_000_000

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
func relaxTimers() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Getenv(begunAgain) != "" || hasSlack() {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	if _, _, failed := syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, timerSlack, 0); failed != 0 || !hasSlack() {
		return
	}
	_ = syscall.Exec(self, os.Args, append(os.Environ(), begunAgain+"=1"))
}

func hasSlack() bool {
	slack, _, failed := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	return failed == 0 && slack >= timerSlack
}
