package main

import (
	"bytes"
	"strings"
	"testing"
)

// Every fault is told at once, so that nobody mends them one by one.
func TestAllFaultsOfTheFlagsAreReported(t *testing.T) {
	_, err := parse([]string{
		"--shard", "99999999", "--listen", "nonsense", "--heartbeat-timeout", "1ms", "--lease-timeout", "1h",
		"--commit-timeout", "0", "--stall-timeout", "1h", "--value-max-bytes", "9000000", "--inflight-max-bytes", "1",
		"--compact-bytes", "1", "--trailing-bytes", "2", "--segment-bytes", "1", "--log-level", "loud",
		"--debug-listen", "0.0.0.0:1", "--peers", "a", "--advertise", "x", "--dial-from", "x", "rest",
	}, &bytes.Buffer{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{
		"--data", "--cluster", "--shard", "--listen", "--heartbeat-timeout", "--lease-timeout", "--commit-timeout",
		"--stall-timeout", "--value-max-bytes", "--inflight-max-bytes", "--compact-bytes", "--trailing-bytes",
		"--segment-bytes", "--log-level", "--debug-listen", "--peers", "--dial-from", "rest",
	} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("nothing is said of %s", flag)
		}
	}
}

func TestDefaults(t *testing.T) {
	c, err := parse([]string{"--data", "d", "--cluster", "c", "--peers", "a=127.0.0.1:1,b=[::1]:2"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if c.listen != "127.0.0.1:0" || c.shard != 0 || c.valueBytes != 1<<20 || c.peers["a"] != "127.0.0.1:1" || c.peers["b"] != "[::1]:2" {
		t.Fatalf("got %+v", c)
	}
}

func TestListenAddresses(t *testing.T) {
	for _, c := range []struct {
		args string
		good bool
	}{
		{"--listen localhost:1", true},
		{"--listen [::1]:1", true},
		{"--listen 10.0.0.1:1", false},
		{"--listen 10.0.0.1:1 --insecure", true},
		{"--listen :1 --insecure", false},
		{"--listen 0.0.0.0:1 --insecure --advertise host:1", true},
		{"--listen 0.0.0.0:1 --insecure --advertise host:0", false},
		{"--listen 127.0.0.1:1 --advertise host", false},
	} {
		_, err := parse(append(strings.Fields(c.args), "--data", "d", "--cluster", "c"), &bytes.Buffer{})
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}
