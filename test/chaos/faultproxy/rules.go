package main

import (
	"slices"
	"sync"
	"time"
)

// Rule says what is wrong with a link. The zero Rule is a link that works.
type Rule struct {
	// Cut: packets vanish. Bytes wait until the cut ends, as they would be sent again, and nobody is told anything. A new
	// connection does not come about while either way is cut.
	Cut bool `json:"cut,omitempty"`
	// Refuse: connections that From opens to To are reset, those that are there as well.
	Refuse bool `json:"refuse,omitempty"`
	// Swallow: what From asks To gets through, the answers are lost. A connection that has lost bytes is reset in the end.
	Swallow bool `json:"swallow,omitempty"`
	// DelayMs holds every byte back, and JitterMs up to so much more.
	DelayMs  float64 `json:"delayMs,omitempty"`
	JitterMs float64 `json:"jitterMs,omitempty"`
	// Loss is the share of packets that are lost. On TCP that is a pause until they are sent again, and at times a reset.
	Loss float64 `json:"loss,omitempty"`
	// BytesPerSecond bounds each connection; 0 does not.
	BytesPerSecond int `json:"bytesPerSecond,omitempty"`
}

// Anybody in the place of a party stands for every one.
const Anybody = "*"

// Link is a direction: from a party to a party. Nodes are called as their directories are, "shard-1/node-2".
type Link struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (l Link) reversed() Link { return Link{From: l.To, To: l.From} }

func (l Link) covers(other Link) bool {
	return (l.From == Anybody || l.From == other.From) && (l.To == Anybody || l.To == other.To)
}

// Fault is a rule on some links, until it is healed.
type Fault struct {
	Links []Link `json:"links"`
	// Both: it holds in the other direction as well.
	Both bool `json:"both,omitempty"`
	Rule Rule `json:"rule"`
	// ForMs: then it heals, whatever has become of whoever gave the order. 0 is until it is healed.
	ForMs float64 `json:"forMs,omitempty"`
}

// isOf a party when each of its links begins or ends there.
func (f Fault) isOf(party string) bool {
	return !slices.ContainsFunc(f.Links, func(l Link) bool { return l.From != party && l.To != party })
}

func (f Fault) hits(link Link) bool {
	return slices.ContainsFunc(f.Links, func(l Link) bool {
		return l.covers(link) || f.Both && l.reversed().covers(link)
	})
}

// rules are the faults that hold now, by their ids. Safe for concurrent use.
type rules struct {
	mu      sync.Mutex
	faults  map[string]*standing
	changed chan struct{}
}

// standing is a fault that holds now, with the timer that ends it.
type standing struct {
	Fault
	end *time.Timer
}

func newRules() *rules { return &rules{faults: map[string]*standing{}, changed: make(chan struct{})} }

// set begins a fault, or changes the one of that id, whose time then begins anew.
func (r *rules) set(id string, fault Fault) {
	r.change(func() {
		r.drop(id)
		one := &standing{Fault: fault}
		if fault.ForMs > 0 {
			one.end = time.AfterFunc(milliseconds(fault.ForMs), func() { r.over(id, one) })
		}
		r.faults[id] = one
	})
}

// over ends a fault whose time is over, unless another one has its id by now.
func (r *rules) over(id string, one *standing) {
	r.change(func() {
		if r.faults[id] == one {
			r.drop(id)
		}
	})
}

// heal ends the fault of that id.
func (r *rules) heal(id string) {
	r.change(func() { r.drop(id) })
}

// healThose ends the faults that are chosen.
func (r *rules) healThose(chosen func(id string, fault Fault) bool) {
	r.change(func() {
		for id, one := range r.faults {
			if chosen(id, one.Fault) {
				r.drop(id)
			}
		}
	})
}

// drop forgets a fault and stops its timer. The caller holds mu.
func (r *rules) drop(id string) {
	if one := r.faults[id]; one != nil && one.end != nil {
		one.end.Stop()
	}
	delete(r.faults, id)
}

func (r *rules) change(how func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	how()
	close(r.changed)
	r.changed = make(chan struct{})
}

// on is what holds on a link, and what closes when that may be another. The worst of several faults counts.
func (r *rules) on(link Link) (Rule, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all Rule
	for _, fault := range r.faults {
		if fault.hits(link) {
			all = all.and(fault.Rule)
		}
	}
	return all, r.changed
}

func (r *rules) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.faults))
	for name := range r.faults {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r Rule) and(other Rule) Rule {
	r.Cut = r.Cut || other.Cut
	r.Refuse = r.Refuse || other.Refuse
	r.Swallow = r.Swallow || other.Swallow
	r.DelayMs = max(r.DelayMs, other.DelayMs)
	r.JitterMs = max(r.JitterMs, other.JitterMs)
	r.Loss = max(r.Loss, other.Loss)
	if r.BytesPerSecond == 0 || other.BytesPerSecond > 0 && other.BytesPerSecond < r.BytesPerSecond {
		r.BytesPerSecond = other.BytesPerSecond
	}
	return r
}

// delay of a packet whose luck is between 0 and 1.
func (r Rule) delay(luck float64) time.Duration {
	return milliseconds(r.DelayMs + r.JitterMs*luck)
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
