package transport

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kvorum/node/clock"
)

const (
	// repeatAfter is how often the same refusal is logged: Raft dials again several times a second.
	repeatAfter = 30 * time.Second
	// maxRemembered bounds the memory of refusals; past it they are forgotten, and logged once more.
	maxRemembered = 256
)

// refusals logs refused connections at both ends, each kind once in a while.
type refusals struct {
	clock clock.Clock
	log   *slog.Logger

	mu     sync.Mutex
	logged map[string]time.Time
}

func newRefusals(c clock.Clock, log *slog.Logger) *refusals {
	return &refusals{clock: c, log: log, logged: map[string]time.Time{}}
}

// dialled notes that a peer refuses us.
func (r *refusals) dialled(refusal *RefusalError) {
	if r.fresh("dialled " + refusal.Error()) {
		r.log.Error("a peer refuses this node", "address", refusal.Address, "want", refusal.Want,
			"reason", refusal.Reason.String(), "got_node", refusal.Got.NodeID, "got_cluster", refusal.Got.ClusterID,
			"got_shard", refusal.Got.Shard)
	}
}

// refused notes that we refuse a peer.
func (r *refusals) refused(reason Reason, greeting hello, remote string) {
	from := greeting.from
	if r.fresh(fmt.Sprintf("refused %s %v %s", reason, from, greeting.to)) {
		r.log.Error("refused a peer", "remote", remote, "reason", reason.String(), "node", from.NodeID,
			"cluster", from.ClusterID, "shard", from.Shard, "advertises", from.Address, "wants", greeting.to)
	}
}

func (r *refusals) fresh(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if last, known := r.logged[what]; known && now.Sub(last) < repeatAfter {
		return false
	}
	if len(r.logged) >= maxRemembered {
		clear(r.logged)
	}
	r.logged[what] = now
	return true
}
