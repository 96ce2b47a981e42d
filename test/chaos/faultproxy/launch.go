package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// orderLimit bounds the wait for the proxy.
const orderLimit = 10 * time.Second

var (
	// errTaken: the address that others are to reach the node on is in use.
	errTaken = errors.New("the address is taken")

	nodeDirectory = regexp.MustCompile(`^node-(\d+)$`)
)

// launch makes the node listen on an address of its own and become reachable through the proxy on the address that it was
// given, and turns this process into it. All of 127.0.0.0/8 is this machine's on Linux: node 2 of shard 1 gets 127.64.1.2,
// on the same port, and its connections leave from there. So the proxy knows who speaks to whom, and neither the
// orchestrator nor the node know of the proxy.
func launch(args []string, errs io.Writer) error {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	flags.SetOutput(errs)
	control := flags.String("control", "", "`host:port` of the proxy's control")
	file := flags.String("kept", "", "`file` in which the proxy tells that itself")
	program := flags.String("program", "", "`path` of the node program (required)")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if (*control == "") == (*file == "") || *program == "" {
		return fmt.Errorf("%w: --program and one of --control and --kept are required", errUsage)
	}
	if *file != "" {
		// Read in each start: a proxy that has died was followed by one that takes orders elsewhere.
		kept, err := readKept(*file)
		if err != nil {
			return err
		}
		*control = kept.Control
	}
	order, rest, err := settle(flags.Args())
	if err != nil {
		return err
	}
	if err := ask(*control, order); err != nil {
		return err
	}
	return fmt.Errorf("become %s: %w", *program, syscall.Exec(*program, append([]string{*program}, rest...), os.Environ()))
}

// settle gives the route to a node, and the arguments with which it is the route's target.
func settle(args []string) (RouteOrder, []string, error) {
	directory, shard, listen := valueOf(args, "--data"), valueOf(args, "--shard"), valueOf(args, "--listen")
	name := filepath.Base(directory)
	found := nodeDirectory.FindStringSubmatch(name)
	number, err := strconv.ParseUint(shard, 10, 16)
	_, port, splitErr := net.SplitHostPort(listen)
	if found == nil || err != nil || splitErr != nil {
		return RouteOrder{}, nil, fmt.Errorf("%w: --data .../node-<n>, --shard and --listen are needed, not %q", errUsage, args)
	}
	index, err := strconv.ParseUint(found[1], 10, 8)
	if err != nil {
		return RouteOrder{}, nil, fmt.Errorf("%w: %s: %w", errUsage, name, err)
	}
	host := fmt.Sprintf("127.%d.%d.%d", 64+number>>8, number&0xff, index)
	group := "shard-" + shard
	if number == 0 {
		group = "meta"
	}
	order := RouteOrder{Party: group + "/" + name, Listen: listen, Target: net.JoinHostPort(host, port), Source: host}
	rest := slices.Clone(args)
	rest[slices.Index(rest, "--listen")+1] = order.Target
	return order, append(rest, "--advertise", listen, "--dial-from", host), nil
}

// valueOf a flag in the form that the orchestrator gives it.
func valueOf(args []string, flag string) string {
	at := slices.Index(args, flag)
	if at < 0 || at+1 >= len(args) {
		return ""
	}
	return args[at+1]
}

func ask(control string, order RouteOrder) error {
	body, err := json.Marshal(order)
	if err != nil {
		return fmt.Errorf("encode the order: %w", err)
	}
	client := http.Client{Timeout: orderLimit}
	response, err := client.Post("http://"+control+"/routes", "application/json", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the proxy for a route: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	words, err := io.ReadAll(io.LimitReader(response.Body, maxOrderBytes))
	if err != nil {
		return fmt.Errorf("ask the proxy for a route: %w", err)
	}
	if response.StatusCode == http.StatusConflict {
		return fmt.Errorf("%w: %s", errTaken, bytes.TrimSpace(words))
	}
	return fmt.Errorf("the proxy refuses: %s: %s", response.Status, bytes.TrimSpace(words))
}
