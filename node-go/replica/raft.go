package replica

import (
	"math"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Timing is Raft's clockwork.
type Timing struct {
	// Heartbeat is the silence of its leader, between once and twice this, after which a follower campaigns. The leader
	// sends a heartbeat every 1/20 to 1/10 of it. 500 ms is far above a pause of the runtime or of a busy machine, and
	// bounds the time without service after a host vanished silently; a process that dies is noticed at once by its
	// closed connections (DESIGN.md, section 15). It is also the election time-out: an election among live nodes takes
	// milliseconds, so a lost one need not wait longer.
	Heartbeat time.Duration
	// Lease is the silence of a majority after which a leader gives up. Below Heartbeat, so that a leader that is cut
	// off has stopped before another one is elected, and its clients go and look for that.
	Lease time.Duration
	// Commit is how soon, within once to twice this, an idle leader tells its followers what is committed. Nobody waits
	// for that: under load every message says it, and a new leader commits what it has. Each time costs two processes a
	// few wake-ups: 12 idle nodes used 7.7-9.2 % of a core at 50 ms and 5.9 % at 200 ms, on a machine with other load.
	Commit time.Duration
}

// DefaultTiming has reasons above.
func DefaultTiming() Timing {
	return Timing{Heartbeat: 500 * time.Millisecond, Lease: 400 * time.Millisecond, Commit: 200 * time.Millisecond}
}

const (
	// maxAppendEntries counts entries per message. They are up to 512 KiB (or one write of 8 MiB): a follower that catches
	// up on a slow disk must store them well within the watchdog's limit. One that keeps up gets what was in flight, a few.
	maxAppendEntries = 16
	// never: the compactor decides by bytes when a snapshot is due, and sets the trailing entries before it.
	never = 100 * 365 * 24 * time.Hour
)

func raftConfig(id raft.ServerID, timing Timing, logger hclog.Logger, notices chan<- bool) *raft.Config {
	config := raft.DefaultConfig()
	config.LocalID = id
	config.HeartbeatTimeout = timing.Heartbeat
	config.ElectionTimeout = timing.Heartbeat
	config.LeaderLeaseTimeout = timing.Lease
	config.CommitTimeout = timing.Commit
	config.MaxAppendEntries = maxAppendEntries
	// The proposer's entries reach the log in one fsync instead of one each.
	config.BatchApplyCh = true
	config.SnapshotInterval = never
	config.SnapshotThreshold = math.MaxUint64
	// The engine is durable and knows its applied index.
	config.NoSnapshotRestoreOnStart = true
	// A node that was removed goes on answering NOT_LEADER until somebody stops it.
	config.ShutdownOnRemove = false
	config.NoLegacyTelemetry = true
	config.NotifyCh = notices
	config.Logger = logger
	return config
}
