// Command faultproxy stands between the nodes of a cluster, and between them and their clients, and does to connections
// what networks do: it cuts, refuses, delays, loses, swallows and trickles, as it is told (control.go).
//
//	faultproxy serve [--control 127.0.0.1:0] [--seed 1] [--keep <file>]
//	faultproxy launch --control <host:port> | --kept <file> --program <kvnode> -- <what the node program was given>
//
// `serve` prints one line when it takes orders, and ends when its standard input does: it does not outlive whoever started it.
// With --keep it does, as the nodes do, and ends when it gets SIGTERM; the file tells where it is, and a proxy after one that
// has died goes on with its routes (kept.go).
// `launch` makes a node of one machine a host of its own (launch.go), and becomes it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	exitUsage = 64
	// exitAddress is what kvnode ends with when its address is taken: then it is started on another one.
	exitAddress = 69
	exitFailed  = 70
	// headerLimit bounds a slow giver of orders.
	headerLimit = 5 * time.Second
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(errs, "faultproxy: serve or launch?")
		return exitUsage
	}
	var err error
	switch args[0] {
	case "serve":
		err = serve(args[1:], in, out, errs)
	case "launch":
		err = launch(args[1:], errs)
	default:
		err = fmt.Errorf("%w: %q is no command", errUsage, args[0])
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(errs, "faultproxy: %v\n", err)
		return exitUsage
	case errors.Is(err, errTaken):
		fmt.Fprintf(errs, "faultproxy: %v\n", err)
		return exitAddress
	default:
		fmt.Fprintf(errs, "faultproxy: %v\n", err)
		return exitFailed
	}
}

var errUsage = errors.New("wrong usage")

// serve runs until its standard input ends; with a file to keep until it is told to end.
func serve(args []string, in io.Reader, out, errs io.Writer) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(errs)
	address := flags.String("control", "127.0.0.1:0", "loopback `host:port` for orders")
	seed := flags.Uint64("seed", 1, "of what happens by chance")
	file := flags.String("keep", "", "`file` that tells of this proxy, which then outlives its starter")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return fmt.Errorf("listen for orders: %w", err)
	}
	h := newHub(*seed)
	defer h.close()
	if *file == "" {
		// Owned by the process: a read of standard input cannot be called back.
		go func() {
			defer stop()
			_, _ = io.Copy(io.Discard, in)
		}()
		return takeOrders(told, h, listener, out)
	}
	k, routes, err := openKeeper(*file)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	k.control = listener.Addr().String()
	h.kept, h.keep = *file, k.write
	h.restore(routes)
	if err := k.write(routes); err != nil {
		return errors.Join(err, listener.Close())
	}
	return errors.Join(takeOrders(told, h, listener, out), k.remove())
}

// takeOrders says that it does, and returns after the context has ended.
func takeOrders(ctx context.Context, h *hub, listener net.Listener, out io.Writer) error {
	server := &http.Server{
		Handler: control(h), ReadHeaderTimeout: headerLimit,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(out, "faultproxy ready control=%s\n", listener.Addr())
	select {
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("serve orders: %w", err)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		return fmt.Errorf("stop taking orders: %w", err)
	}
	<-served
	return nil
}
