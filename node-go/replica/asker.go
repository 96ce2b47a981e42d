package replica

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"kvorum/node/transport"
)

// asker asks voters whether this node still leads, by heartbeats of its own: Raft's own way, VerifyLeader, goes through its
// main loop, where a read would wait for the fsync of a write, and asks everybody.
//
// A majority's word is enough, and to ask costs two processes a few wake-ups. So it asks just as many voters as are needed,
// those that have answered last, and everybody when that takes too long. A voter that has not answered yet is not asked
// again: what waits for a silent one is bounded.
type asker struct {
	seams askerSeams

	mu sync.Mutex
	// asked are the voters that owe an answer.
	asked map[raft.ServerID]bool
	// answered says in which order they have answered last; 0 for never, and for one that has failed since.
	answered map[raft.ServerID]uint64
	answers  uint64
}

type askerSeams struct {
	self   raft.ServerID
	voters func() []raft.ServerID
	// heartbeat sends one and calls done, on another goroutine, with its end. False when it is too late to send anything.
	heartbeat func(to raft.ServerID, term uint64, done func(error)) bool
	// deposed lets Raft find out that there is a newer term: it does not see our heartbeats' answers.
	deposed func()
}

func newAsker(seams askerSeams) *asker {
	return &asker{seams: seams, asked: map[raft.ServerID]bool{}, answered: map[raft.ServerID]uint64{}}
}

// ask returns at once. What is answered is noted where heartbeats are sent.
func (a *asker) ask(term uint64, everybody bool) {
	for _, id := range a.choose(everybody) {
		if !a.seams.heartbeat(id, term, func(err error) { a.done(id, err) }) {
			a.done(id, raft.ErrTransportShutdown)
		}
	}
}

// choose marks whom it returns as asked.
func (a *asker) choose(everybody bool) []raft.ServerID {
	a.mu.Lock()
	defer a.mu.Unlock()
	voters := a.seams.voters()
	enough := len(voters)/2 + 1
	if slices.Contains(voters, a.seams.self) {
		enough--
	}
	free := slices.DeleteFunc(voters, func(id raft.ServerID) bool { return id == a.seams.self || a.asked[id] })
	slices.SortStableFunc(free, func(x, y raft.ServerID) int { return cmp.Compare(a.answered[y], a.answered[x]) })
	if !everybody && len(free) > enough {
		free = free[:enough]
	}
	for _, id := range free {
		a.asked[id] = true
	}
	return free
}

func (a *asker) done(id raft.ServerID, err error) {
	if errors.Is(err, transport.ErrDeposed) {
		a.seams.deposed()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.asked, id)
	if err != nil {
		delete(a.answered, id)
		return
	}
	a.answers++
	a.answered[id] = a.answers
}
