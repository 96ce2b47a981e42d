// Command kvnode is one node: a replica of one shard, with its Raft log and its engine in one directory, serving gRPC and
// Raft on one port. See config.go for its flags and exit.go for its exit codes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"kvorum/node/clock"
)

// version is what Status and --version say; the build sets it.
var version = "0.1.0"

// stopLimit bounds an orderly end, whatever the peers, the clients and the disk do. Past it the process just exits:
// what was acknowledged is in the log.
const stopLimit = 4500 * time.Millisecond

// lastWordsLimit bounds what a broken process says last: its log is often on the very disk that has stalled.
const lastWordsLimit = 200 * time.Millisecond

// The collector starts when the heap has grown by gcPercent of what was alive and of ballastBytes. A node's heap is small, as its
// values are on disk, beside what a burst of requests allocates: by the percentage alone it would collect all the time, and a
// larger one would double the memory of a node with many keys. The ballast gives every heap 24 MiB more, which a small one
// needs and a large one does not notice. No memory limit is set: the key directory grows with the keys, and a limit below it
// would make the collector run all the time. An operator may set GOGC or GOMEMLIMIT, which win, as GOMAXPROCS does over
// --processors.
const (
	gcPercent    = 50
	ballastBytes = 48 << 20
)

func main() {
	relaxTimers(os.Args[1:])
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errs io.Writer) int {
	config, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitClean
	case config.version:
		fmt.Fprintf(out, "%s\ncommand formats 1-%d\n", version, config.formatMax)
		return exitClean
	case err != nil:
		return report(errs, &fault{code: exitUsage, err: err})
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		// Never touched: address space that the collector counts (a limit counts it too), and no memory.
		ballast := make([]byte, ballastBytes)
		defer runtime.KeepAlive(ballast)
	}
	if n := processors(config); n != runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
	log := slog.New(slog.NewJSONHandler(errs, &slog.HandlerOptions{Level: config.logLevel}))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	world, err := around(config)
	if err != nil {
		return report(errs, err)
	}
	world.log = log
	// The process is broken: nothing that could be closed would be closed safely.
	world.fatal = func(err error) { os.Exit(reportWithin(lastWordsLimit, errs, err)) }
	n, err := start(config, world)
	if err != nil {
		return report(errs, err)
	}
	fmt.Fprintf(out, "kvnode ready id=%s shard=%d address=%s pid=%d\n", n.identity.Node, config.shard, n.address, os.Getpid())
	received := <-stop
	n.endBegins()
	log.Info("stopping", "signal", received.String())
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := n.stop(ctx); err != nil {
		return report(errs, err)
	}
	return exitClean
}

// processors is how many this node uses at once.
func processors(c config) int {
	if c.processors > 0 && os.Getenv("GOMAXPROCS") == "" {
		return c.processors
	}
	return runtime.GOMAXPROCS(0)
}

// report says in one line why the process ends, and gives its exit code.
func report(errs io.Writer, err error) int {
	fmt.Fprintf(errs, "kvnode: %s\n", oneLine(err))
	return exitCode(err)
}

// reportWithin is report for an end that nothing may hold up.
func reportWithin(limit time.Duration, errs io.Writer, err error) int {
	said := make(chan struct{})
	go func() {
		defer close(said)
		report(errs, err)
	}()
	timer := clock.Real().NewTimer(limit)
	defer timer.Stop()
	select {
	case <-said:
	case <-timer.C():
	}
	return exitCode(err)
}
