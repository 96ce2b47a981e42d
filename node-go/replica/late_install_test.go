package replica

import (
	"bytes"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	"kvorum/node/transport"
)

// handLeader sends a follower what a test wants, in term 5, as the leader of three.
type handLeader struct {
	t         *testing.T
	transport *transport.Transport
	to        *testNode
	content   []byte
	snapshot  uint64
}

const (
	handTerm     = 5
	snapshotTerm = 2
)

// newHandLeader has a snapshot of a state machine that one node wrote.
func newHandLeader(t *testing.T, to *testNode) *handLeader {
	t.Helper()
	source := startCluster(t, 1, patient, nil)
	source.nodes[0].mustPut("a", "1")
	view, refused := source.nodes[0].Seed(0)
	if refused != nil {
		t.Fatal(refused)
	}
	defer view.Close()
	var content bytes.Buffer
	if _, err := view.WriteTo(&content); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	leader, err := transport.New(transport.Options{
		Identity: transport.Identity{ClusterID: "test", Shard: 1, NodeID: "leader", Address: listener.Addr().String()},
		Book:     transport.NewBook(map[string]string{to.id: *to.listening.Load()}, nil), Listener: listener,
		Clock: clock.Real(), Log: testLog(), RaftLog: hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leader.Close() })
	return &handLeader{t: t, transport: leader, to: to, content: content.Bytes(), snapshot: view.Applied()}
}

func (l *handLeader) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: 3, ID: []byte("leader"), Addr: []byte("leader")}
}

func (l *handLeader) install() {
	l.t.Helper()
	request := &raft.InstallSnapshotRequest{
		RPCHeader: l.header(), SnapshotVersion: 1, Term: handTerm, LastLogIndex: l.snapshot, LastLogTerm: snapshotTerm,
		Configuration:      raft.EncodeConfiguration(configurationOf([]string{"leader", l.to.id, "other"})),
		ConfigurationIndex: 1, Size: int64(len(l.content)),
	}
	var response raft.InstallSnapshotResponse
	id, address := raft.ServerID(l.to.id), raft.ServerAddress(l.to.id)
	err := l.transport.InstallSnapshot(id, address, request, &response, bytes.NewReader(l.content))
	if err != nil || !response.Success {
		l.t.Fatalf("install: %v, %+v", err, response)
	}
}

// append sends n entries of a term that follow an entry, and says whether they were taken.
func (l *handLeader) append(prev, prevTerm, term uint64, n int) bool {
	l.t.Helper()
	data, err := fsmcommand.Encode(&command.Command{Kind: &command.Command_Write{Write: &command.WriteBatch{}}}, 1)
	if err != nil {
		l.t.Fatal(err)
	}
	request := &raft.AppendEntriesRequest{
		RPCHeader: l.header(), Term: term, PrevLogEntry: prev, PrevLogTerm: prevTerm, LeaderCommitIndex: l.snapshot,
	}
	for i := range uint64(n) {
		request.Entries = append(request.Entries, &raft.Log{Index: prev + 1 + i, Term: term, Type: raft.LogCommand, Data: data})
	}
	var response raft.AppendEntriesResponse
	if err := l.transport.AppendEntries(raft.ServerID(l.to.id), raft.ServerAddress(l.to.id), request, &response); err != nil {
		l.t.Fatal(err)
	}
	return response.Success
}

func (l *handLeader) requireLog(first, last uint64) {
	l.t.Helper()
	from, _ := l.to.log.FirstIndex()
	to, _ := l.to.log.LastIndex()
	if from != first || to != last || l.to.raft.LastIndex() != last {
		l.t.Fatalf("the log is %d to %d and Raft's last entry %d; want %d to %d", from, to, l.to.raft.LastIndex(), first, last)
	}
}

// A connection is given up, but TCP still delivers what was sent on it. What was acknowledged since must not be forgotten.
func TestALateCopyOfAnInstallForgetsNothing(t *testing.T) {
	c := newCluster(t, 1, patient, nil)
	c.nodes[0].open()
	l := newHandLeader(t, c.nodes[0])
	l.install()
	s := l.snapshot
	if !l.append(s, snapshotTerm, handTerm, 3) {
		t.Fatal("entries that follow the snapshot were refused")
	}
	l.install()
	l.requireLog(s+1, s+3)
	if !l.append(s+3, handTerm, handTerm, 1) {
		t.Fatal("the next entry was refused")
	}
	l.requireLog(s+1, s+4)
}

// The entries right behind a snapshot may differ from the next leader's: they are replaced, without another snapshot.
func TestAConflictRightBehindASnapshotIsTruncated(t *testing.T) {
	c := newCluster(t, 1, patient, nil)
	c.nodes[0].open()
	l := newHandLeader(t, c.nodes[0])
	l.install()
	s := l.snapshot
	l.append(s, snapshotTerm, handTerm, 3)
	if !l.append(s, snapshotTerm, handTerm+1, 1) {
		t.Fatal("the next leader's entry was refused")
	}
	l.requireLog(s+1, s+1)
}
