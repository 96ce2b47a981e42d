//go:build !faults

package main

import (
	"kvorum/node/clock"
	"kvorum/node/vfs"
)

// around is the disk and the clock of the machine.
func around(config) (surroundings, error) {
	return surroundings{fs: vfs.OS(), clock: clock.Real()}, nil
}
