//go:build !race

package simulation

const stepsDefault = 1_000_000
