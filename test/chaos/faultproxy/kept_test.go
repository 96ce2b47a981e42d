package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A proxy that has died is followed by one that goes on with its routes, on whatever port it takes orders.
func TestTheNextOneGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	keep, routes, err := openKeeper(file)
	if err != nil || len(routes) != 0 {
		t.Fatal(routes, err)
	}
	keep.control = "127.0.0.1:1"
	behind := startEcho(t, "127.0.0.1:0").listener.Addr().String()
	first := newHub(1)
	first.keep = keep.write
	address, err := first.open(RouteOrder{Party: node, Listen: "127.0.0.1:0", Target: behind, Source: hostOfTwo})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := openKeeper(file); !errors.Is(err, errInUse) {
		t.Error("two on one file:", err)
	}
	first.close()
	// As the kernel does when it dies.
	if err := keep.lock.Close(); err != nil {
		t.Fatal(err)
	}
	keep, routes, err = openKeeper(file)
	if err != nil {
		t.Fatal(err)
	}
	next := newHub(1)
	t.Cleanup(next.close)
	next.restore(routes)
	s := &scene{T: t, hub: next, address: address}
	s.until("the route to listen again", func() bool {
		c, err := s.dial()
		if err == nil {
			c.conn.Close()
		}
		return err == nil
	})
	if who := next.partyOf(&net.TCPAddr{IP: net.ParseIP(hostOfTwo)}); who != node {
		t.Errorf("it takes %s for %s", node, who)
	}
	if err := keep.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error("it still tells of itself:", err)
	}
}

func TestLaunchAsksTheProxyOfTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	h := newHub(1)
	t.Cleanup(h.close)
	server := httptest.NewServer(control(h))
	t.Cleanup(server.Close)
	k := keeper{path: file, control: strings.TrimPrefix(server.URL, "http://")}
	if err := k.write(nil); err != nil {
		t.Fatal(err)
	}
	args := []string{"--kept", file, "--program", "/nowhere/kvnode", "--", "--data", "d/node-1", "--shard", "1", "--listen", "127.0.0.1:0"}
	// It fails at the very end, when it becomes the node.
	if err := launch(args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "become") {
		t.Fatal(err)
	}
	if state := h.state(); state.Routes[node].Target != "127.64.1.1:0" {
		t.Errorf("%+v", state)
	}
}

// Whoever depends on the proxy is told when it ends.
func TestLifeEndsWithTheProxy(t *testing.T) {
	told, end := context.WithCancel(context.Background())
	out, words := io.Pipe()
	ended := make(chan error, 1)
	h := newHub(1)
	t.Cleanup(h.close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- takeOrders(told, h, listener, words) }()
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + listener.Addr().String() + "/life")
	if err != nil {
		t.Fatal(err)
	}
	end()
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Error(err)
	}
	response.Body.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
