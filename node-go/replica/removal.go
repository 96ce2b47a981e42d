package replica

import (
	"errors"

	"github.com/hashicorp/raft"

	"kvorum/node/transport"
)

/*
A node gets the entry that removes it when that is committed, and not before.

Raft lets a removed node lead if it alone has the entry (thesis, 4.2.2); hashicorp/raft lets no node campaign that its own newest
configuration lacks. So if a leader of A to D appends D's removal, reaches D only, and dies, B and C count three of four voters, D's
longer log refuses them, and D does not campaign: nobody leads until A is back. When the removal is committed, a majority of A
to C has it, one of them can lead without D's vote, and D may know.

Nothing waits for what is withheld. The leader counts by its newest configuration, in which D has no vote, so neither the removal nor
an entry before or after it needs D. Raft replicates to each peer on a goroutine of its own, which after a removal has nothing else
to do than this one message, and heartbeats go on beside it. It waits for as long as this node leads in the term of the message: until
the removal is committed, or never will be by this leader.

What is withheld is only a newest configuration. An older one is committed, since each follows when the one before is; and of a node
that was removed and added again the newest counts, in which it is: a leader that has just been elected may need that
node's vote before it knows of any commit. To know of a commit late is to wait longer.
*/

var errNotReleased = errors.New("this node does not lead any more, and the removal of the peer is not known to be committed")

// sender is what the transport asks before it sends entries.
func (r *Replica) sender() transport.Sender {
	return transport.Sender{Term: r.raft.CurrentTerm, Durable: r.log.Durable, Release: r.release}
}

func (r *Replica) release(to raft.ServerID, message *raft.AppendEntriesRequest, closed <-chan struct{}) error {
	removal := removalOf(to, message.Entries)
	if removal == 0 {
		return nil
	}
	for {
		changed := r.changed.Next()
		// A newer one says that it is committed.
		if r.configurations.newest().index > removal || r.raft.CommitIndex() >= removal {
			return nil
		}
		if !r.leadsIn(message.Term) {
			return errNotReleased
		}
		select {
		case <-changed:
		case <-closed:
			return transport.ErrClosed
		}
	}
}

// tellRemoved sends a node that was removed what it lacks of the log, up to the entry by which it is no member, when that is
// committed. Raft tries it once, and that comes to nothing if another message to the node is under way just then, or its pipeline ends:
// the node would not know, and ask for votes until somebody ends it. It is a message as any other of this leader's, so it does no
// harm if it arrives twice or late. One try, and only if the node was heard within an election time-out and lacks no more than a message
// holds: who is away or far behind is told by whoever has ordered the removal.
func (r *Replica) tellRemoved(term uint64, removed raft.ServerID, index uint64) {
	since := r.options.Clock.Now().Add(-r.options.Timing.Heartbeat)
	has := min(r.transport.Stored(term, removed), index-1)
	if has == 0 || index-has > maxAppendEntries || !r.transport.AckedSince(term, since, []raft.ServerID{r.id, removed}, r.id) {
		return
	}
	entries := make([]raft.Log, index-has+1)
	for i := range entries {
		// Compacted meanwhile: the node is far behind.
		if err := r.log.GetLog(has+uint64(i), &entries[i]); err != nil {
			r.options.Log.Debug("a removed node is not told", "node", removed, "error", err)
			return
		}
	}
	request := &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(r.id), Addr: []byte(r.id)},
		Term:      term, PrevLogEntry: has, PrevLogTerm: entries[0].Term, LeaderCommitIndex: index,
	}
	for i := range entries[1:] {
		request.Entries = append(request.Entries, &entries[i+1])
	}
	if err := r.transport.AppendEntries(removed, raft.ServerAddress(removed), request, &raft.AppendEntriesResponse{}); err != nil {
		r.options.Log.Debug("a removed node is not told", "node", removed, "error", err)
	}
}

// removalOf is the last configuration among entries, if a node is no member by it; else 0.
func removalOf(id raft.ServerID, entries []*raft.Log) uint64 {
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Type != raft.LogConfiguration {
			continue
		}
		now := configuration{entries[i].Index, raft.DecodeConfiguration(entries[i].Data).Servers}
		if now.has(id) {
			return 0
		}
		return now.index
	}
	return 0
}
