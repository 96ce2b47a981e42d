package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// patience bounds what must happen; nothing here waits for a fixed time.
const patience = 20 * time.Second

const (
	node      = "shard-1/node-1"
	hostOfTwo = "127.64.1.2"
	two       = "shard-1/node-2"
)

// echo answers each line with itself until the test ends.
type echo struct {
	listener net.Listener
}

func startEcho(t *testing.T, address string) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{listener: listener}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return e
}

// scene is an echo called node-1 behind a proxy.
type scene struct {
	*testing.T
	hub     *hub
	echo    *echo
	address string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{T: t, hub: newHub(1), echo: startEcho(t, "127.0.0.1:0")}
	t.Cleanup(s.hub.close)
	s.address = s.open(RouteOrder{Party: node, Listen: "127.0.0.1:0", Target: s.echo.listener.Addr().String()})
	// Nobody listens for it: it only speaks.
	s.hub.name(RouteOrder{Party: two, Source: hostOfTwo})
	return s
}

func (s *scene) open(order RouteOrder) string {
	s.Helper()
	address, err := s.hub.open(order)
	if err != nil {
		s.Fatal(err)
	}
	return address
}

// dial connects as node-2.
func (s *scene) dial() (*talk, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(hostOfTwo)}, Timeout: patience}
	conn, err := dialer.Dial("tcp", s.address)
	if err != nil {
		return nil, err
	}
	s.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return &talk{scene: s, conn: conn, lines: bufio.NewReader(conn)}, nil
}

func (s *scene) talk() *talk {
	s.Helper()
	c, err := s.dial()
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func (s *scene) fault(rule Rule, both bool, links ...Link) {
	s.hub.rules.set("test", Fault{Links: links, Both: both, Rule: rule})
}

// until asks again until it is so.
func (s *scene) until(what string, isSo func() bool) {
	s.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !isSo(); <-tick.C {
		if time.Now().After(end) {
			s.Fatalf("waited too long for %s", what)
		}
	}
}

func (s *scene) count(link Link) LinkState { return s.hub.state().Links[link.From+" > "+link.To] }

type talk struct {
	*scene
	conn  net.Conn
	lines *bufio.Reader
}

func (c *talk) say(line string) {
	c.Helper()
	if _, err := c.conn.Write([]byte(line + "\n")); err != nil {
		c.Fatal(err)
	}
}

func (c *talk) hear(line string) {
	c.Helper()
	if got, err := c.lines.ReadString('\n'); err != nil || got != line+"\n" {
		c.Fatalf("heard %q, %v, not %q", got, err, line)
	}
}

func (c *talk) mustBeReset() {
	c.Helper()
	if _, err := c.lines.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		c.Fatalf("%v is no reset", err)
	}
}

var (
	there = Link{From: two, To: node}
	back  = Link{From: node, To: two}
)

func TestACutHoldsWhatIsSaidAndTheConnectionStays(t *testing.T) {
	for name, cut := range map[string]struct {
		link Link
		both bool
		// held is where the line must be waiting.
		held Link
	}{
		"both ways": {there, true, there},
		"there":     {there, false, there},
		"back":      {back, false, back},
		"everybody": {Link{From: Anybody, To: node}, false, there},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c := s.talk()
			c.say("before")
			c.hear("before")
			s.fault(Rule{Cut: true}, cut.both, cut.link)
			c.say("meanwhile")
			s.until("the line to be held", func() bool { return s.count(cut.held).Held > 0 })
			if passed := s.count(back).Passed; passed != int64(len("before\n")) {
				t.Errorf("%d bytes have come back", passed)
			}
			s.hub.rules.heal("test")
			c.hear("meanwhile")
		})
	}
}

func TestACutIsForTheLinksThatItNames(t *testing.T) {
	s := newScene(t)
	s.fault(Rule{Cut: true}, true, Link{From: node, To: "shard-1/node-3"})
	c := s.talk()
	c.say("x")
	c.hear("x")
}

// Also with a cut of the way back alone: an answer to the first packet is lost then.
func TestNoConnectionComesAboutThroughACut(t *testing.T) {
	for _, link := range []Link{there, back} {
		s := newScene(t)
		s.fault(Rule{Cut: true}, false, link)
		c := s.talk()
		c.say("x")
		s.until("the connection to be held", func() bool { return s.count(there).Held > 0 })
		if n := s.count(there).Connections; n != 0 {
			t.Errorf("%d connections", n)
		}
		s.hub.rules.heal("test")
		c.hear("x")
	}
}

func TestRefusing(t *testing.T) {
	s := newScene(t)
	c := s.talk()
	c.say("x")
	c.hear("x")
	s.fault(Rule{Refuse: true}, false, there)
	c.mustBeReset()
	// The handshake may still be under way when it is reset.
	if fresh, err := s.dial(); err == nil {
		fresh.mustBeReset()
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	s.hub.rules.heal("test")
	again := s.talk()
	again.say("y")
	again.hear("y")
}

func TestSwallowedAnswers(t *testing.T) {
	s := newScene(t)
	c := s.talk()
	s.fault(Rule{Swallow: true}, false, there)
	c.say("swallowed")
	s.until("the answer to be lost", func() bool { return s.count(back).Swallowed > 0 })
	if n := s.count(there).Passed; n != int64(len("swallowed\n")) {
		t.Errorf("%d bytes of the request got through", n)
	}
	s.hub.rules.heal("test")
	c.mustBeReset()
}

func TestDelayAndJitter(t *testing.T) {
	const delay = 50 * time.Millisecond
	s := newScene(t)
	c := s.talk()
	c.say("x")
	c.hear("x")
	s.fault(Rule{DelayMs: 50, JitterMs: 20}, true, there)
	since := time.Now()
	for _, line := range []string{"a", "b", "c"} {
		c.say(line)
	}
	for _, line := range []string{"a", "b", "c"} {
		c.hear(line)
	}
	// Once there, once back; lines that were said together wait together.
	if took := time.Since(since); took < 2*delay {
		t.Errorf("it took %s", took)
	}
}

func TestALostPacketIsMissedForAWhile(t *testing.T) {
	s := newScene(t)
	c := s.talk()
	c.say("x")
	c.hear("x")
	s.fault(Rule{Loss: 1}, false, there)
	since := time.Now()
	c.say("lost")
	s.until("a loss", func() bool { return s.count(there).Resent > 0 })
	s.hub.rules.heal("test")
	c.hear("lost")
	if took := time.Since(since); took < resendAfter {
		t.Errorf("it took %s", took)
	}
}

func TestTooManyLossesBreakAConnection(t *testing.T) {
	s := newScene(t)
	c := s.talk()
	c.say("x")
	c.hear("x")
	s.fault(Rule{Loss: 1}, false, there)
	c.say("lost")
	c.mustBeReset()
	if s.count(there).Broken != 1 {
		t.Error("not counted")
	}
}

func TestATrickle(t *testing.T) {
	s := newScene(t)
	c := s.talk()
	s.fault(Rule{BytesPerSecond: 200}, false, there)
	since := time.Now()
	c.say("0123456789012345678901234567890123456789")
	c.hear("0123456789012345678901234567890123456789")
	// 41 bytes, the last 10 of which are not waited for.
	if took := time.Since(since); took < 150*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

// The end of a stream goes through each way by itself.
func TestHalfAConnection(t *testing.T) {
	s := newScene(t)
	c := s.talk()
	c.say("x")
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c.lines); err != nil || string(rest) != "x\n" {
		t.Fatalf("%q, %v", rest, err)
	}
}

// Nodes take an address that refuses connections for a process that is gone.
func TestARouteRefusesAsItsTargetDoes(t *testing.T) {
	s := newScene(t)
	target := s.echo.listener.Addr().String()
	s.echo.listener.Close()
	s.until("a refusal", func() bool {
		_, err := s.dial()
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	startEcho(t, target)
	var c *talk
	s.until("the route to be back", func() (isSo bool) {
		var err error
		c, err = s.dial()
		return err == nil
	})
	c.say("x")
	c.hear("x")
}

func TestARouteTwice(t *testing.T) {
	s := newScene(t)
	order := RouteOrder{Party: node, Listen: s.address, Target: s.echo.listener.Addr().String()}
	if again := s.open(order); again != s.address {
		t.Errorf("%s and %s", again, s.address)
	}
	other := startEcho(t, "127.0.0.1:0")
	order.Target = other.listener.Addr().String()
	if again := s.open(order); again != s.address {
		t.Errorf("%s and %s", again, s.address)
	}
	c := s.talk()
	c.say("x")
	c.hear("x")
}

// A fault heals by itself, whatever becomes of whoever ordered it; one that has taken its place has a time of its own.
func TestAFaultHasAnEnd(t *testing.T) {
	s := newScene(t)
	cut := Fault{Links: []Link{{From: Anybody, To: node}}, Both: true, Rule: Rule{Cut: true}, ForMs: 50}
	s.hub.rules.set("test", cut)
	holds := func() bool {
		rule, _ := s.hub.rules.on(cut.Links[0])
		return rule.Cut
	}
	if !holds() {
		t.Fatal("it does not hold")
	}
	s.until("it to end", func() bool { return !holds() })
	s.hub.rules.set("test", cut)
	first := s.hub.rules.faults["test"]
	cut.ForMs = 0
	s.hub.rules.set("test", cut)
	s.hub.rules.over("test", first)
	if !holds() {
		t.Error("the end of the first has ended the second")
	}
}
