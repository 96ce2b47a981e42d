package replica

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/fsm"
)

// openRetry is how long to wait before proposing a term's first command again, when Raft refused it because a transfer
// of leadership was under way. A transfer lasts at most an election time-out.
const openRetry = 10 * time.Millisecond

// tenure is one leadership of this node, from Raft's notice that it began to the notice that it ended.
type tenure struct {
	term uint64
	// ctx is cancelled when the leadership ends.
	ctx context.Context
	end context.CancelFunc
	// ready closes when a command of this term is applied: the state machine then holds everything that any earlier
	// leader acknowledged, and reads may be served.
	ready chan struct{}
}

// leadership follows Raft's notices. Raft blocks until each notice is taken, so tenures never overlap; it runs at most
// one term within one of them, because heartbeats of newer terms go through its main loop (heartbeatGate).
type leadership struct {
	seams leadershipSeams

	mu      sync.Mutex
	current *tenure
	// changed closes, and is replaced, when current changes.
	changed  chan struct{}
	finished chan struct{}
	// leading counts what runs for as long as a leadership lasts.
	leading sync.WaitGroup
}

// leadershipSeams is what leadership needs of the rest of the node.
type leadershipSeams struct {
	// notices is Raft's NotifyCh.
	notices <-chan bool
	// term is Raft's current term.
	term func() uint64
	// leads says whether Raft leads at this moment.
	leads func() bool
	// open proposes a command that changes nothing, the term's first.
	open func() (raft.ApplyFuture, error)
	// ready and lost tell the proposer; noticed tells whoever watches the status.
	ready func()
	lost  func()
	// lead runs on a goroutine of its own until ctx ends, once a leadership is ready.
	lead    func(ctx context.Context)
	noticed func()
	clock   clock.Clock
	log     *slog.Logger
}

func newLeadership(seams leadershipSeams) *leadership {
	return &leadership{seams: seams, changed: make(chan struct{}), finished: make(chan struct{})}
}

// run takes notices until stop closes. One goroutine owns it; it must outlive Raft, which blocks on its notices.
func (l *leadership) run(stop <-chan struct{}) {
	defer close(l.finished)
	defer l.leading.Wait()
	// Also when there is no tenure: whoever waits for one learns that Raft has stopped.
	defer l.set(nil)
	defer l.finish()
	for {
		select {
		case leads := <-l.seams.notices:
			l.finish()
			if leads {
				l.begin()
			}
		case <-stop:
			return
		}
	}
}

// tenure is the current leadership. nil when there is none; `changed` then closes at the next one.
func (l *leadership) tenure() (s *tenure, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.changed
}

// isReady says whether this node leads and may serve.
func (l *leadership) isReady() bool {
	s, _ := l.tenure()
	if s == nil {
		return false
	}
	select {
	case <-s.ready:
		return s.ctx.Err() == nil
	default:
		return false
	}
}

// stillLeads says whether s is the current leadership in Raft's own eyes. The state is read before the term: terms only
// grow, so a leader's state followed by s's term means that it led in s's term.
func (l *leadership) stillLeads(s *tenure) bool {
	return s.ctx.Err() == nil && l.seams.leads() && l.seams.term() == s.term
}

func (l *leadership) begin() {
	s := &tenure{term: l.seams.term(), ready: make(chan struct{})}
	s.ctx, s.end = context.WithCancel(context.Background())
	l.set(s)
	// It ends with its future, which Raft answers when leadership ends, at the latest.
	go l.prepare(s)
}

func (l *leadership) finish() {
	s, _ := l.tenure()
	if s == nil {
		return
	}
	s.end()
	l.set(nil)
	l.seams.lost()
	l.seams.noticed()
}

func (l *leadership) set(s *tenure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = s
	close(l.changed)
	l.changed = make(chan struct{})
}

// prepare makes a leadership ready: a command of its term is committed, and it and everything before it are applied.
//
// It is a command and not Raft's barrier, because barriers and no-ops never reach a state machine. So every replica's
// progress gets past the no-op with which a term begins, and every later entry of the term (commands, configurations)
// moves it on: waiting until the commit index of a ready leader is applied always ends.
func (l *leadership) prepare(s *tenure) {
	for s.ctx.Err() == nil {
		future, err := l.seams.open()
		if err == nil {
			err = future.Error()
		}
		if err == nil {
			if applied, ok := future.Response().(*fsm.Applied); ok && applied.Err == nil {
				l.serve(s)
			}
			return
		}
		if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			// Leadership is lost, and the notice of it is on its way.
			l.seams.log.Warn("the term could not be opened", "term", s.term, "error", err)
			return
		}
		if clock.Wait(s.ctx, l.seams.clock, openRetry) != nil {
			return
		}
	}
}

// serve opens the gates of a prepared leadership, unless it has ended meanwhile.
func (l *leadership) serve(s *tenure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != s {
		return
	}
	close(s.ready)
	l.seams.ready()
	l.leading.Go(func() { l.seams.lead(s.ctx) })
	l.seams.noticed()
}
