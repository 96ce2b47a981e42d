package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestOrders(t *testing.T) {
	h := newHub(1)
	defer h.close()
	server := httptest.NewServer(control(h))
	defer server.Close()
	target := startEcho(t, "127.0.0.1:0").listener.Addr().String()
	order := func(method, path, body string) (int, string) {
		request, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		words, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(words)
	}
	for _, bad := range []string{
		`{`, `{"links":[],"rule":{"cut":true}}`, `{"links":[{"from":"*","to":"*"}],"rule":{}}`,
		`{"links":[{"from":"*","to":"*"}],"rule":{"cutt":true}}`, `{"links":[{"from":"*","to":"*"}],"rule":{"loss":2}}`,
		`{"links":[{"from":"*","to":"*"}],"rule":{"cut":true},"forMs":-1}`,
	} {
		if code, _ := order("PUT", "/faults/a", bad); code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, code)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		if code, words := order("PUT", "/faults/"+id, `{"links":[{"from":"*","to":"x"}],"rule":{"cut":true}}`); code != http.StatusOK {
			t.Error(words)
		}
	}
	order("DELETE", "/faults/b", "")
	if code, words := order("POST", "/routes", `{"party":"x","listen":"127.0.0.1:0","target":"`+target+`"}`); code != http.StatusOK {
		t.Error(words)
	}
	if code, _ := order("POST", "/routes", `{"party":"y","listen":"`+target+`","target":"127.0.0.1:1"}`); code != http.StatusConflict {
		t.Errorf("an address that is taken: %d", code)
	}
	var state State
	_, words := order("GET", "/state", "")
	if err := json.Unmarshal([]byte(words), &state); err != nil || !slices.Equal(state.Faults, []string{"a", "c"}) ||
		state.Routes["x"].Target != target {
		t.Errorf("%s, %v", words, err)
	}
	order("PUT", "/faults/d", `{"links":[{"from":"*","to":"y"},{"from":"y","to":"*"}],"rule":{"cut":true}}`)
	order("DELETE", "/faults?party=x", "")
	if names := h.rules.names(); !slices.Equal(names, []string{"d"}) {
		t.Errorf("after x was healed: %v", names)
	}
	order("DELETE", "/faults", "")
	if names := h.rules.names(); len(names) != 0 {
		t.Error(names)
	}
}

// The worst of what holds at once counts.
func TestRulesTogether(t *testing.T) {
	r := newRules()
	link := []Link{{From: "a", To: "b"}}
	r.set("1", Fault{Links: link, Rule: Rule{DelayMs: 5, BytesPerSecond: 10}})
	r.set("2", Fault{Links: link, Rule: Rule{DelayMs: 3, JitterMs: 4, Loss: 0.5, BytesPerSecond: 20, Swallow: true}})
	r.set("3", Fault{Links: []Link{{From: "b", To: "a"}}, Rule: Rule{Cut: true}})
	all, _ := r.on(link[0])
	if want := (Rule{DelayMs: 5, JitterMs: 4, Loss: 0.5, BytesPerSecond: 10, Swallow: true}); all != want {
		t.Errorf("%+v", all)
	}
}

func TestANodeBecomesAHostOfItsOwn(t *testing.T) {
	order, args, err := settle(strings.Fields("--data d/shard-258/node-3 --cluster c --shard 258 --listen 127.0.0.1:7 --peers a=b:1"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (RouteOrder{Party: "shard-258/node-3", Listen: "127.0.0.1:7", Target: "127.65.2.3:7", Source: "127.65.2.3"}); order != want {
		t.Errorf("%+v", order)
	}
	want := "--data d/shard-258/node-3 --cluster c --shard 258 --listen 127.65.2.3:7 --peers a=b:1 --advertise 127.0.0.1:7 --dial-from 127.65.2.3"
	if got := strings.Join(args, " "); got != want {
		t.Error(got)
	}
	for _, bad := range []string{"", "--data x --shard 1 --listen 127.0.0.1:7", "--data node-1 --shard 1 --listen x", "--data node-300 --shard 1 --listen 127.0.0.1:7"} {
		if _, _, err := settle(strings.Fields(bad)); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The proxy never outlives whoever started it.
func TestItEndsWithItsInput(t *testing.T) {
	in, owner := io.Pipe()
	out, words := io.Pipe()
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run([]string{"serve"}, in, words, &errs) }()
	line := make([]byte, 100)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(strings.TrimSpace(string(line[:n])), "control=")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	owner.Close()
	if code := <-ended; code != 0 {
		t.Error(code, errs.String())
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"x"}, {"serve", "--x"}, {"launch"}, {"launch", "--control", "c", "--program", "p"}, {"launch", "--control", "c", "--kept", "f", "--program", "p"}} {
		var errs bytes.Buffer
		if code := run(args, strings.NewReader(""), io.Discard, &errs); code != exitUsage || errs.Len() == 0 {
			t.Errorf("%q: %d %s", args, code, errs.String())
		}
	}
}
