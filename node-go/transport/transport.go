package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/clock"
)

// ErrPeerSilent says that a peer did not answer a leadership transfer in time.
var ErrPeerSilent = errors.New("the peer does not answer")

// Options of New; all are required unless they say otherwise.
type Options struct {
	Identity Identity
	Book     *Book
	// Listener gives connections that begin with the magic: Mux.Raft(). The Transport closes it.
	Listener net.Listener
	Clock    clock.Clock
	Log      *slog.Logger
	// RaftLog is for hashicorp/raft's own messages.
	RaftLog hclog.Logger
	// Wrap makes a connection secure (TLS), after the magic and before the hello. It must not block: a handshake of its
	// own happens at the first read or write, under our deadline. nil leaves connections as they are.
	Wrap func(conn net.Conn, dialled bool) net.Conn

	// DialFrom is the address of this machine that connections to peers leave from. nil: as the system routes.
	DialFrom net.IP

	// limits are shorter in tests.
	limits limits
}

// Transport is raft.Transport between the nodes of one shard. Safe for concurrent use.
type Transport struct {
	*raft.NetworkTransport
	identity Identity
	clock    clock.Clock
	limits   limits
	stream   *stream
	acks     *acks
	peers    *peers
	reach    *reach
	beats    beats

	// calls are what Raft answers: those of peers, passed on from the network, and our own.
	calls  chan raft.RPC
	closed chan struct{}
	// holds is OnInstall's.
	holds atomic.Pointer[func(*raft.InstallSnapshotRequest) bool]
	// sender is OnAppend's.
	sender atomic.Pointer[Sender]
	// voter is OnCampaign's.
	voter atomic.Pointer[Voter]
	// running are our goroutines; Close waits for them. mu keeps one from starting while it does.
	mu      sync.Mutex
	running sync.WaitGroup
}

var (
	_ raft.Transport   = (*Transport)(nil)
	_ raft.WithPreVote = (*Transport)(nil)
	_ raft.WithClose   = (*Transport)(nil)
)

// New starts to take connections. Close ends it.
func New(o Options) (*Transport, error) {
	if err := o.Identity.validate(); err != nil {
		return nil, err
	}
	if o.limits == (limits{}) {
		o.limits = defaultLimits()
	}
	t := &Transport{
		identity: o.Identity, clock: o.Clock, limits: o.limits, acks: newAcks(), peers: newPeers(),
		beats: beats{peers: map[raft.ServerID]chan beat{}},
		calls: make(chan raft.RPC), closed: make(chan struct{}),
	}
	t.reach = newReach(o.Clock, o.limits.hold, t.closed)
	t.stream = &stream{
		identity: o.Identity, book: o.Book, listener: o.Listener, wrap: o.Wrap, dialer: Dialer(o.DialFrom),
		clock: o.Clock, limits: o.limits,
		peers: t.peers, reach: t.reach, refusals: newRefusals(o.Clock, o.Log),
		ready: make(chan net.Conn), pending: map[net.Conn]struct{}{},
	}
	t.stream.life, t.stream.end = context.WithCancel(context.Background())
	t.stream.start()
	t.NetworkTransport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: t.stream, Logger: o.RaftLog, MaxPool: maxIdle, Timeout: o.limits.rpc,
		// The default of 2 pipelines, which can wedge a follower for good (hashicorp/raft#611, #612).
		MaxRPCsInFlight:         1,
		MsgpackUseNewTimeFormat: true,
	})
	t.spawn(t.pass)
	return t, nil
}

// OnInstall has `holds` asked of each snapshot that a peer sends. If it says that the log holds the snapshot's last entry,
// the peer is answered as after an install, and Raft does not see it.
//
// A follower may hold more than its leader knows: the answer to its last message was lost, and the leader has compacted
// since. Thesis, section 5.3: it keeps its log. hashicorp/raft 1.7.3 would empty it, and go on as if it were there.
func (t *Transport) OnInstall(holds func(*raft.InstallSnapshotRequest) bool) { t.holds.Store(&holds) }

// Sender is what a message that carries or follows entries must not contradict.
type Sender struct {
	// Term is the current one.
	Term func() uint64
	// Durable is an index, or this node's last durable entry if that is before it.
	Durable func(index uint64) uint64
	// Release returns when the peer may have the entries of a message; an error when it may not any more, or when closed closes.
	// Only replication to that peer waits.
	Release func(to raft.ServerID, message *raft.AppendEntriesRequest, closed <-chan struct{}) error
}

// OnAppend has this node asked before each message that carries or follows entries.
func (t *Transport) OnAppend(sender Sender) { t.sender.Store(&sender) }

// held answers a snapshot that the log holds already; false for every other call.
func (t *Transport) held(call raft.RPC) bool {
	request, ok := call.Command.(*raft.InstallSnapshotRequest)
	holds := t.holds.Load()
	if !ok || holds == nil || !(*holds)(request) {
		return false
	}
	return t.spawn(func() {
		// The answer follows the stream on the connection.
		_, err := io.Copy(io.Discard, call.Reader)
		call.Respond(&raft.InstallSnapshotResponse{Term: request.Term, Success: err == nil}, err)
	})
}

// pass hands the calls of peers on to Raft.
func (t *Transport) pass() {
	for {
		select {
		case call := <-t.NetworkTransport.Consumer():
			if t.held(call) || t.preVoted(call) {
				continue
			}
			t.letVote(call)
			select {
			case t.calls <- call:
			case <-t.closed:
				return
			}
		case <-t.closed:
			return
		}
	}
}

// Consumer gives the calls that Raft must answer.
func (t *Transport) Consumer() <-chan raft.RPC { return t.calls }

// AppendEntries sends entries, or a heartbeat, and notes the acknowledgement.
func (t *Transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	if !isHeartbeat(request) {
		t.reach.await(id)
		if err := t.release(id, request); err != nil {
			return fmt.Errorf("append to %s: %w", id, err)
		}
		// The last look before it is sent: whatever was waited for, the term may have ended meanwhile.
		if t.deposed(request, response) {
			return nil
		}
	}
	// Raft reuses responses: nothing of an earlier one may pass for an acknowledgement.
	*response = raft.AppendEntriesResponse{}
	bounded := t.boundCommit(request)
	sent := t.clock.Now()
	err := t.NetworkTransport.AppendEntries(id, target, bounded, response)
	if err != nil {
		t.reach.failed(id)
		return err
	}
	t.reach.heard(id)
	if response.Term == request.Term {
		t.acks.record(id, request.Term, sent)
		if n := len(request.Entries); n > 0 && response.Success {
			t.acks.store(id, request.Term, request.Entries[n-1].Index)
		}
	}
	return nil
}

// boundCommit keeps a follower from committing
//   - what this message has not compared with the leader's log. The Raft thesis has the follower take min(leaderCommit, index
//     of the last new entry); hashicorp/raft 1.7.3 takes its whole log for the second, so that a commit index read after
//     PrevLogEntry was would commit an old leader's tail.
//   - what is not durable here. Raft counts this node among those that have an entry as soon as it is being written.
func (t *Transport) boundCommit(request *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	bound := request.PrevLogEntry + uint64(len(request.Entries))
	if sender := t.sender.Load(); sender != nil {
		bound = sender.Durable(bound)
	}
	if request.LeaderCommitIndex <= bound {
		return request
	}
	bounded := *request
	bounded.LeaderCommitIndex = bound
	return &bounded
}

// deposed answers a message of a leader that knows of a newer term by now, as its peer would. Raft reads the entries of a
// message one by one, and a successor may replace the log meanwhile: the message may be a mixture that never was one log,
// which log matching would not notice. A follower takes a newer term before it touches its log. So what was made in the
// term that is still ours is whole.
func (t *Transport) deposed(request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) bool {
	sender := t.sender.Load()
	if sender == nil {
		return false
	}
	now := sender.Term()
	*response = raft.AppendEntriesResponse{RPCHeader: request.RPCHeader, Term: now}
	return now > request.Term
}

func (t *Transport) release(id raft.ServerID, request *raft.AppendEntriesRequest) error {
	sender := t.sender.Load()
	if sender == nil || len(request.Entries) == 0 {
		return nil
	}
	return sender.Release(id, request, t.closed)
}

// isHeartbeat is hashicorp/raft's own rule.
func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

// InstallSnapshot streams a snapshot. It fails when no byte gets through for limits.progress.
func (t *Transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, request *raft.InstallSnapshotRequest, response *raft.InstallSnapshotResponse, data io.Reader) error {
	t.reach.await(id)
	err := t.NetworkTransport.InstallSnapshot(id, target, request, response, data)
	if err != nil {
		t.reach.failed(id)
		return err
	}
	if response.Success && response.Term == request.Term {
		t.acks.store(id, request.Term, request.LastLogIndex)
	}
	return nil
}

// TimeoutNow asks a peer to take leadership over. A peer that is paused may still do so when it wakes up: a campaign
// that Raft must bear at any time.
func (t *Transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, request *raft.TimeoutNowRequest, response *raft.TimeoutNowResponse) error {
	done := make(chan error, 1)
	if !t.spawn(func() { done <- t.NetworkTransport.TimeoutNow(id, target, request, &raft.TimeoutNowResponse{}) }) {
		return ErrClosed
	}
	timer := t.clock.NewTimer(t.limits.handover)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C():
		return fmt.Errorf("hand leadership to %s: %w within %s", id, ErrPeerSilent, t.limits.handover)
	}
}

// AckedSince says whether a majority of voters (self included, if it is one) has acknowledged, in this term, an
// AppendEntries that was sent after t0, which is a reading of the Transport's clock.
func (t *Transport) AckedSince(term uint64, t0 time.Time, voters []raft.ServerID, self raft.ServerID) bool {
	return t.acks.since(term, t0, voters, self)
}

// Stored is the newest entry that a peer has acknowledged in this term as durable, with all before it; 0 when this node, as
// the leader of the term, has heard of none yet.
func (t *Transport) Stored(term uint64, peer raft.ServerID) uint64 {
	return t.acks.storedIn(term, peer)
}

// Acks closes at the next acknowledgement. Take it before asking AckedSince, and wait on it if that says no.
func (t *Transport) Acks() <-chan struct{} { return t.acks.changed() }

// OnPeerGone has f called when all connections that a peer had opened to this node are closed, which is what the end of
// its process looks like. f must not block.
func (t *Transport) OnPeerGone(f func(id raft.ServerID)) { t.peers.onGone(f) }

// Close ends every call and connection; then raft.Shutdown's wait is short. It may be called more than once.
func (t *Transport) Close() error {
	if t.beginClose() {
		t.NetworkTransport.Close()
		t.NetworkTransport.CloseStreams()
	}
	t.running.Wait()
	return nil
}

// beginClose returns true once.
func (t *Transport) beginClose() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed() {
		return false
	}
	close(t.closed)
	return true
}

// spawn runs f on a goroutine that Close waits for; false when it is too late.
func (t *Transport) spawn(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed() {
		return false
	}
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		f()
	}()
	return true
}

func (t *Transport) isClosed() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}
