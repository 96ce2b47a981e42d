// Package simulation runs state machines, engines and sessions as a shard would, under one source of chance: three
// replicas on disks that lose what was not fsynced, clients that repeat what was not answered, and a network that loses,
// delays and reorders. Beside them stands the truth: what each operation was told must be what became of it. It holds
// tests only.
//
// There is no Raft in it. The log is given: its entries are committed, and each replica applies them at its own pace.
// Everything happens on one goroutine, in an order that the seed decides, so that a seed that fails fails again:
//
//	go test ./simulation -seed 42
package simulation
