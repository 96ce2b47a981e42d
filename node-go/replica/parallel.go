package replica

import "github.com/hashicorp/raft"

/*
A leader writes its log beside its messages to the followers (Raft thesis, section 10.2.1): a write then waits for one fsync
instead of two that follow one another. hashicorp/raft knows nothing of it. It takes an entry for durable here as soon as
StoreLogs returns, and may count this node in the majority that commits it. So everything that comes of a commit waits for
the disk of this node as well:
  - followers are told of a commit only as far as this log is durable (transport.Sender);
  - the state machine applies an entry only when it is durable (fsm.Options.AwaitDurable), and so does whatever follows from
    that: the answer to a write, the reads that wait for it, snapshots;
  - a node that does not lead any more makes everything durable before it compares its entries with those of a message, or
    writes: to say "I have this entry" is a promise. Votes are none: an entry in memory only makes this node stricter.

Then an entry that was answered, applied or told to followers as committed is durable on a majority that includes this node, as
if Raft had waited. What a leader forgets in a crash is an entry that was never committed, like one that it never wrote.

No-ops and configurations are written first and sent then: Raft acts on a committed configuration itself.
*/

// mayStoreAhead is asked on Raft's main goroutine, the only one that makes this node the leader, or a follower again.
func (l *logGuard) mayStoreAhead(entries []*raft.Log) bool {
	if !l.isLeader() {
		return false
	}
	for _, entry := range entries {
		if entry.Type != raft.LogCommand {
			return false
		}
	}
	return true
}

// settleAsFollower makes what this node wrote as a leader durable before it answers for it to another one.
func (l *logGuard) settleAsFollower() error {
	if l.isLeader() {
		return nil
	}
	return l.Settle()
}

func (l *logGuard) isLeader() bool {
	leads := l.leads.Load()
	return leads != nil && (*leads)()
}
