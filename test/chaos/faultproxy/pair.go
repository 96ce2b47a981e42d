package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// dialLimit bounds the connecting to a node on this machine.
const dialLimit = 3 * time.Second

// pair is a connection through the proxy: the client's to us and ours to the target.
type pair struct {
	route  *route
	link   Link
	client *net.TCPConn
	server *net.TCPConn
	over   chan struct{}
	end    sync.Once
	// spoilt once bytes were lost: the connection is of no use to anybody but the one who waits.
	// mu also keeps server from being set while everything is closed.
	mu     sync.Mutex
	spoilt bool
}

// serve runs until both ends are closed, or the connection is reset.
func (p *pair) serve() {
	requests := p.pipe(p.link, false)
	answers := p.pipe(p.link.reversed(), true)
	var running sync.WaitGroup
	// Waited for after everything was closed.
	defer running.Wait()
	defer p.close(false)
	running.Go(func() { requests.read(p.client) })
	running.Go(p.watchRules)
	if err := p.connect(requests); err != nil {
		p.close(!errors.Is(err, errOver))
		return
	}
	running.Go(func() { answers.read(p.server) })
	ends := make(chan error, 2)
	running.Go(func() { ends <- requests.write(p.server) })
	running.Go(func() { ends <- answers.write(p.client) })
	for range 2 {
		if err := <-ends; errors.Is(err, errReset) {
			p.close(true)
		}
	}
}

func (p *pair) pipe(link Link, answers bool) *pipe {
	return &pipe{
		link: link, rules: p.route.hub.rules, count: p.route.hub.counts.of(link), luck: p.route.hub.luck, answers: answers,
		lost: p.spoil, over: p.over, queue: make(chan chunk, queueChunks),
	}
}

// connect reaches the target, once packets pass both ways. A client that has given up meanwhile is not connected at all.
func (p *pair) connect(requests *pipe) error {
	held := false
	for {
		there, changed := p.route.hub.rules.on(p.link)
		back, _ := p.route.hub.rules.on(p.link.reversed())
		if there.Refuse {
			requests.count.refused.Add(1)
			return errReset
		}
		if !there.Cut && !back.Cut {
			if err := requests.pause(there.delay(0)+back.delay(0), nil); err != nil {
				return err
			}
			break
		}
		held = true
		requests.count.held.Add(1)
		if err := requests.pause(-1, changed); err != nil {
			return err
		}
	}
	if held && requests.hasEnded() {
		return errReset
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.route.order.Target)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			p.route.targetIsDown()
		}
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = conn.(*net.TCPConn)
	select {
	case <-p.over:
		p.server.Close()
		return errOver
	default:
	}
	requests.count.connections.Add(1)
	return nil
}

// watchRules resets the connection when it is refused, and when a fault has ended that made it lose bytes.
func (p *pair) watchRules() {
	for {
		rule, changed := p.route.hub.rules.on(p.link)
		p.mu.Lock()
		broken := rule.Refuse || p.spoilt && !rule.Swallow
		p.mu.Unlock()
		if broken {
			p.close(true)
			return
		}
		select {
		case <-changed:
		case <-p.over:
			return
		}
	}
}

func (p *pair) spoil() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoilt = true
}

// close may be called more than once; the first call decides whether both ends see a reset.
func (p *pair) close(reset bool) {
	p.end.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(p.over)
		for _, conn := range []*net.TCPConn{p.client, p.server} {
			if conn == nil {
				continue
			}
			if reset {
				_ = conn.SetLinger(0)
			}
			conn.Close()
		}
	})
}
