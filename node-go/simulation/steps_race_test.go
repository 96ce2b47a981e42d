//go:build race

package simulation

// The race detector makes it ten times as slow, and there is only one goroutine.
const stepsDefault = stepsOfSeed
