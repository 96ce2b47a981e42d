package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Clients are whoever connects from an address that is no node's: the gateway, the orchestrator, tests.
const Clients = "clients"

// hub knows every party: where it is reached through the proxy, and which address it comes from.
type hub struct {
	rules  *rules
	counts *countersByLink

	chance sync.Mutex
	random *rand.Rand

	mu     sync.Mutex
	routes map[string]*route
	closed bool
	// kept is the path of the file that tells of this proxy.
	kept string
	// keep writes down which routes there are, before an order for one is answered.
	keep func([]RouteOrder) error

	// naming guards sources: connections are accepted while a route is closed.
	naming  sync.Mutex
	sources map[string]string
}

func newHub(seed uint64) *hub {
	return &hub{
		rules: newRules(), counts: &countersByLink{links: map[Link]*counters{}},
		random: rand.New(rand.NewPCG(seed, seed)), routes: map[string]*route{}, sources: map[string]string{},
		keep: func([]RouteOrder) error { return nil },
	}
}

// RouteOrder asks for a listener in front of a party.
type RouteOrder struct {
	Party string `json:"party"`
	// Listen is where the others reach it; port 0 takes a free one.
	Listen string `json:"listen"`
	// Target is where it really listens.
	Target string `json:"target"`
	// Source is the address that its own connections leave from; empty for one that opens none.
	Source string `json:"source,omitempty"`
}

// open is done when the route listens, and gives where. The same order again changes nothing; another one for the same
// party takes the place of the first.
func (h *hub) open(order RouteOrder) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return "", net.ErrClosed
	}
	h.name(order)
	if old := h.routes[order.Party]; old != nil {
		if old.order == order {
			return old.order.Listen, nil
		}
		old.close()
		delete(h.routes, order.Party)
	}
	opened, err := openRoute(h, order)
	if err != nil {
		return "", err
	}
	h.routes[order.Party] = opened
	if err := h.keep(h.orders()); err != nil {
		opened.close()
		delete(h.routes, order.Party)
		return "", err
	}
	return opened.order.Listen, nil
}

// restore brings back the routes of a proxy that has died. Each listens when its node does: by now its address may be
// another program's.
func (h *hub) restore(orders []RouteOrder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, order := range orders {
		h.name(order)
		h.routes[order.Party] = restoreRoute(h, order)
	}
}

// orders are those of all routes. The caller holds mu.
func (h *hub) orders() []RouteOrder {
	orders := make([]RouteOrder, 0, len(h.routes))
	for _, r := range h.routes {
		orders = append(orders, r.order)
	}
	slices.SortFunc(orders, func(a, b RouteOrder) int { return strings.Compare(a.Party, b.Party) })
	return orders
}

func (h *hub) close() {
	h.rules.healThose(func(string, Fault) bool { return true })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, r := range h.routes {
		r.close()
	}
}

func (h *hub) name(order RouteOrder) {
	h.naming.Lock()
	defer h.naming.Unlock()
	if order.Source != "" {
		h.sources[order.Source] = order.Party
	}
}

func (h *hub) partyOf(address net.Addr) string {
	h.naming.Lock()
	defer h.naming.Unlock()
	if tcp, ok := address.(*net.TCPAddr); ok {
		if party, known := h.sources[tcp.IP.String()]; known {
			return party
		}
	}
	return Clients
}

func (h *hub) luck() float64 {
	h.chance.Lock()
	defer h.chance.Unlock()
	return h.random.Float64()
}

// State is what the proxy tells of itself.
type State struct {
	// Kept is the path of the file that tells of this proxy; empty without one.
	Kept   string                `json:"kept,omitempty"`
	Routes map[string]RouteState `json:"routes"`
	Faults []string              `json:"faults"`
	// Links by "from > to".
	Links map[string]LinkState `json:"links"`
}

// RouteState is where a party is reached.
type RouteState struct {
	Listen string `json:"listen"`
	Target string `json:"target"`
}

// LinkState counts since the beginning, so that a test sees that a fault has met something.
type LinkState struct {
	// Connections that From has opened to To.
	Connections int64 `json:"connections"`
	// Passed and Swallowed are bytes from From to To.
	Passed    int64 `json:"passed"`
	Swallowed int64 `json:"swallowed"`
	// Held are packets that had to wait, Resent those that were lost, Broken connections that lost too many.
	Held   int64 `json:"held"`
	Resent int64 `json:"resent"`
	Broken int64 `json:"broken"`
	// Refused are connections that From could not open to To.
	Refused int64 `json:"refused"`
}

func (h *hub) state() State {
	state := State{Kept: h.kept, Routes: map[string]RouteState{}, Faults: h.rules.names(), Links: map[string]LinkState{}}
	h.mu.Lock()
	for party, r := range h.routes {
		state.Routes[party] = RouteState{Listen: r.order.Listen, Target: r.order.Target}
	}
	h.mu.Unlock()
	h.counts.each(func(link Link, c *counters) {
		state.Links[fmt.Sprintf("%s > %s", link.From, link.To)] = LinkState{
			Connections: c.connections.Load(), Passed: c.passed.Load(), Swallowed: c.swallowed.Load(), Held: c.held.Load(),
			Resent: c.resent.Load(), Broken: c.broken.Load(), Refused: c.refused.Load(),
		}
	})
	return state
}

type counters struct {
	connections, passed, swallowed, held, resent, broken, refused atomic.Int64
}

type countersByLink struct {
	mu    sync.Mutex
	links map[Link]*counters
}

func (c *countersByLink) of(link Link) *counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.links[link] == nil {
		c.links[link] = &counters{}
	}
	return c.links[link]
}

func (c *countersByLink) each(do func(Link, *counters)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for link, count := range c.links {
		do(link, count)
	}
}
