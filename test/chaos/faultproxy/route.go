package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// lookEvery is how often a target that refuses connections is looked at.
const lookEvery = 10 * time.Millisecond

// route is a listener in front of a party. It refuses connections as long as the party does: nodes take that for the
// sign that a process is gone.
type route struct {
	hub *hub
	// order has the address that is really listened on.
	order RouteOrder
	ctx   context.Context
	stop  context.CancelFunc
	// down has room for one word that the target refuses connections.
	down    chan struct{}
	running sync.WaitGroup
}

// openRoute listens when it returns. A node that has not started yet refuses, and so does its route.
func openRoute(h *hub, order RouteOrder) (*route, error) {
	listener, err := net.Listen("tcp", order.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", order.Party, err)
	}
	order.Listen = listener.Addr().String()
	return startRoute(h, order, listener), nil
}

// restoreRoute listens as soon as its target does.
func restoreRoute(h *hub, order RouteOrder) *route { return startRoute(h, order, nil) }

func startRoute(h *hub, order RouteOrder, listener net.Listener) *route {
	ctx, stop := context.WithCancel(context.Background())
	r := &route{hub: h, order: order, ctx: ctx, stop: stop, down: make(chan struct{}, 1)}
	r.running.Go(func() { r.run(listener) })
	return r
}

// close ends the listener and every connection.
func (r *route) close() {
	r.stop()
	r.running.Wait()
}

// run listens while the target does. Without a listener it waits for the target first.
func (r *route) run(listener net.Listener) {
	for {
		if listener == nil {
			if listener = r.again(); listener == nil {
				return
			}
		}
		accepting := make(chan struct{})
		go func() {
			defer close(accepting)
			r.acceptAll(listener)
		}()
		select {
		case <-r.down:
		case <-r.ctx.Done():
		}
		listener.Close()
		<-accepting
		listener = nil
	}
}

// again waits for the target and listens anew; nil when the route is closed.
func (r *route) again() net.Listener {
	for {
		if !r.wait() {
			return nil
		}
		conn, err := (&net.Dialer{}).DialContext(r.ctx, "tcp", r.order.Target)
		if err != nil {
			continue
		}
		conn.Close()
		// Said while nobody listened.
		select {
		case <-r.down:
		default:
		}
		// The port may be somebody's outgoing connection's for a moment.
		if listener, err := net.Listen("tcp", r.order.Listen); err == nil {
			return listener
		}
	}
}

func (r *route) wait() bool {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

func (r *route) acceptAll(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		client := conn.(*net.TCPConn)
		from := r.hub.partyOf(client.RemoteAddr())
		p := &pair{route: r, link: Link{From: from, To: r.order.Party}, client: client, over: make(chan struct{})}
		r.running.Go(p.serve)
		stop := context.AfterFunc(r.ctx, func() { p.close(true) })
		r.running.Go(func() {
			<-p.over
			stop()
		})
	}
}

// targetIsDown may be called often.
func (r *route) targetIsDown() {
	select {
	case r.down <- struct{}{}:
	default:
	}
}
