package transport

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// acks remembers, per peer, when the newest AppendEntries that it has acknowledged in the newest term was sent.
//
// What an acknowledgement proves: the peer answered with the request's own term, so at some moment after the request was
// sent it had not yet gone to a newer term, and had not voted in one (Raft makes a term durable before it acts in it). Hence
// if a majority has acknowledged messages sent after t0, no leader of a newer term had been elected at t0.
//
// Refused entries (success = false) in the same term prove that as well; an answer with another term, or an error, never.
type acks struct {
	mu   sync.Mutex
	term uint64
	sent map[raft.ServerID]time.Time
	// stored is, per peer, the newest entry that it has acknowledged as durable in the newest term.
	stored map[raft.ServerID]uint64
	// next closes at the next acknowledgement. It is nil when nobody waits, so that recording costs nothing then.
	next chan struct{}
}

func newAcks() *acks {
	return &acks{sent: map[raft.ServerID]time.Time{}, stored: map[raft.ServerID]uint64{}}
}

// record notes that peer has acknowledged, in term, a message that was about to be written at `sent`.
func (a *acks) record(peer raft.ServerID, term uint64, sent time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.enter(term) {
		return
	}
	if sent.After(a.sent[peer]) {
		a.sent[peer] = sent
	}
	a.tell()
}

// store notes that peer has acknowledged, in term, that its log is this node's up to an entry, durably.
func (a *acks) store(peer raft.ServerID, term, index uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.enter(term) {
		return
	}
	a.stored[peer] = max(a.stored[peer], index)
	a.tell()
}

// storedIn is what peer has acknowledged in term; 0 when nothing is known.
func (a *acks) storedIn(term uint64, peer raft.ServerID) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if term != a.term {
		return 0
	}
	return a.stored[peer]
}

// enter forgets older terms; false for a message of an earlier leadership of this node. The caller holds mu.
func (a *acks) enter(term uint64) bool {
	if term > a.term {
		a.term = term
		clear(a.sent)
		clear(a.stored)
	}
	return term == a.term
}

func (a *acks) tell() {
	if a.next != nil {
		close(a.next)
		a.next = nil
	}
}

// since says whether a majority of voters has acknowledged, in term, a message sent after t0. self, if it is a voter,
// acknowledges itself.
func (a *acks) since(term uint64, t0 time.Time, voters []raft.ServerID, self raft.ServerID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	count := 0
	for _, voter := range voters {
		if voter == self || term == a.term && a.sent[voter].After(t0) {
			count++
		}
	}
	return count > len(voters)/2
}

// changed closes at the next acknowledgement. Take it before asking since.
func (a *acks) changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == nil {
		a.next = make(chan struct{})
	}
	return a.next
}
