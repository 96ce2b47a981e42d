package replica

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/transport"
)

// askerBench is an asker of "self" among fake voters, which answer when told to.
type askerBench struct {
	*asker
	mu      sync.Mutex
	voters  []raft.ServerID
	sent    []raft.ServerID
	owed    map[raft.ServerID]func(error)
	closed  bool
	deposed int
}

func newAskerBench(voters ...raft.ServerID) *askerBench {
	b := &askerBench{voters: voters, owed: map[raft.ServerID]func(error){}}
	b.asker = newAsker(askerSeams{
		self:   "self",
		voters: func() []raft.ServerID { return slices.Clone(b.voters) },
		heartbeat: func(to raft.ServerID, term uint64, done func(error)) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.closed {
				return false
			}
			b.sent = append(b.sent, to)
			b.owed[to] = done
			return true
		},
		deposed: func() { b.deposed++ },
	})
	return b
}

func (b *askerBench) answer(id raft.ServerID, err error) { b.owed[id](err) }

func (b *askerBench) expect(t *testing.T, want ...raft.ServerID) {
	t.Helper()
	if !slices.Equal(b.sent, want) {
		t.Fatalf("asked %v, want %v", b.sent, want)
	}
	b.sent = nil
}

func TestJustEnoughVotersAreAsked(t *testing.T) {
	for name, c := range map[string]struct {
		voters []raft.ServerID
		want   int
	}{
		"three, one of them itself": {[]raft.ServerID{"self", "a", "b"}, 1},
		"five":                      {[]raft.ServerID{"self", "a", "b", "c", "d"}, 2},
		"four":                      {[]raft.ServerID{"self", "a", "b", "c"}, 2},
		"two":                       {[]raft.ServerID{"self", "a"}, 1},
		// A leader that is being removed needs a majority of the others.
		"three others": {[]raft.ServerID{"a", "b", "c"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newAskerBench(c.voters...)
			b.ask(7, false)
			if len(b.sent) != c.want || slices.Contains(b.sent, "self") {
				t.Fatalf("asked %v", b.sent)
			}
		})
	}
}

func TestWhoAnsweredLastIsAskedFirst(t *testing.T) {
	b := newAskerBench("self", "a", "b")
	b.ask(7, false)
	b.expect(t, "a")
	b.ask(7, true) // it took too long
	b.expect(t, "b")
	b.answer("a", nil)
	b.answer("b", nil)
	b.ask(7, false)
	b.expect(t, "b")
	b.answer("b", errors.New("gone"))
	b.ask(7, false)
	b.expect(t, "a")
}

func TestRaftHearsOfANewerTerm(t *testing.T) {
	b := newAskerBench("self", "a", "b")
	b.ask(7, true)
	b.answer("a", errors.New("gone"))
	b.answer("b", transport.ErrDeposed)
	if b.deposed != 1 {
		t.Fatalf("told %d times", b.deposed)
	}
}

func TestASilentVoterIsAskedOnce(t *testing.T) {
	b := newAskerBench("self", "a", "b")
	b.ask(7, false)
	b.expect(t, "a")
	for range 10 {
		b.ask(7, true)
	}
	b.expect(t, "b")
	b.answer("a", errors.New("timed out"))
	b.ask(7, true)
	b.expect(t, "a")
}

func TestATransportThatIsClosedOwesNothing(t *testing.T) {
	b := newAskerBench("self", "a", "b")
	b.closed = true
	b.ask(7, false)
	b.closed = false
	b.ask(7, true)
	b.expect(t, "a", "b")
}
