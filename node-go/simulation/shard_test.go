package simulation

import (
	"bytes"
	"log/slog"

	"github.com/hashicorp/raft"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

// shard is a committed log, and the replicas that apply it.
type shard struct {
	world  *world
	number uint32

	// log are the committed entries after base, by rising index, with gaps as no-ops leave them.
	log    []*raft.Log
	base   uint64
	last   uint64
	term   uint64
	timeMs uint64

	// committed has applied every entry: what the shard is at this moment, whoever has applied how much of it.
	committed *fsm.FSM
	// result is what committed has answered to the newest entry.
	result   *fsm.Applied
	replicas []*replica
	// leader answers, for what it applies first.
	leader *replica
	// asked are the requests in the entries that the leader has not applied yet.
	asked map[uint64][]request
	// requests are on their way to the leader.
	requests []request
}

func newShard(w *world, i int) *shard {
	s := &shard{world: w, number: uint32(i + 1), term: 1, asked: map[uint64][]request{}}
	var err error
	s.committed, err = fsm.New(memory.New(), fsm.Options{
		Shard: s.number, Log: slog.New(slog.DiscardHandler), OnFatal: func(err error) { w.fail("shard %d: %v", s.number, err) },
	})
	w.must(err)
	for i := range replicasCount {
		s.replicas = append(s.replicas, newReplica(s, i))
	}
	s.leader = s.replicas[0]
	return s
}

func (s *shard) anyReplica() *replica { return s.replicas[s.world.random.IntN(len(s.replicas))] }

// commit makes an entry of some requests, or of one step.
func (s *shard) commit() {
	w, batch, asked := s.world, &pb.WriteBatch{}, []request(nil)
	numbers := map[fsm.SessionID]uint32{}
	for range 1 + w.random.IntN(entryWrites) {
		r, any := take(w, &s.requests)
		if !any {
			break
		}
		if r.step != nil {
			s.asked[s.append(r.step)] = []request{r}
			w.note("step", "shard %d: %v", s.number, r.step.GetMove().GetStep())
			continue
		}
		write := r.op.write(s.leader.fsm.Format())
		if r.op.sequence > 0 {
			number := numbers[r.op.session]
			if number == 0 {
				batch.Sessions = append(batch.Sessions, &pb.Session{Id: r.op.session[:], Floor: r.floor})
				number = uint32(len(batch.Sessions))
				numbers[r.op.session] = number
			}
			said := batch.Sessions[number-1]
			said.Floor = max(said.Floor, r.floor)
			write.Session, write.Sequence = number, r.op.sequence
		}
		batch.Writes = append(batch.Writes, write)
		asked = append(asked, r)
	}
	if len(asked) == 0 {
		return
	}
	index := s.append(&pb.Command{Kind: &pb.Command_Write{Write: batch}})
	s.asked[index] = asked
	w.note("commit", "shard %d: entry %d with %d writes", s.number, index, len(asked))
}

// append commits a command. At that moment it has happened.
func (s *shard) append(c *pb.Command) uint64 {
	w := s.world
	s.timeMs += uint64(w.random.IntN(3))
	c.StampMs = s.timeMs
	data, err := command.Encode(c, s.leader.fsm.Format())
	w.must(err)
	s.last++
	if w.chance(8) {
		s.last++
	}
	entry := &raft.Log{Index: s.last, Term: s.term, Type: raft.LogCommand, Data: data}
	s.log = append(s.log, entry)
	before := s.committed.Partitions()
	s.result, _ = s.committed.Apply(entry).(*fsm.Applied)
	if s.committed.Partitions() != before {
		w.checkOwners()
	}
	return s.last
}

// checkOwners: no partition has two owners, at any moment.
func (w *world) checkOwners() {
	if w.shards[1] == nil {
		return
	}
	one, two := w.shards[0].committed.Partitions(), w.shards[1].committed.Partitions()
	for number := range one {
		if isOwner(one[number]) && isOwner(two[number]) {
			w.fail("two shards own partition %d: %v, %v", number, one[number], two[number])
		}
	}
}

func isOwner(h fsm.Holding) bool { return h.State == fsm.Owned || h.State == fsm.Frozen }

func (s *shard) assign(owned ...*pb.PartitionRange) {
	s.append(&pb.Command{Kind: &pb.Command_Assign{Assign: &pb.AssignPartitions{Epoch: 1, Owned: owned}}})
}

// changeLeader makes another replica answer. What the old one was asked is never answered.
func (s *shard) changeLeader() {
	s.leader = s.anyReplica()
	s.term++
	s.deposed()
	s.world.note("leader", "shard %d: replica %d, term %d", s.number, s.leader.id, s.term)
}

// deposed: whatever the leader was at is left to others.
func (s *shard) deposed() {
	clear(s.asked)
	s.world.mover.deposed(s)
}

// replace has a new node, with nothing on its disk, take a replica's place: the old one was removed (replica.RemoveMember). What
// the log does not hold any more has to be with somebody who stays.
func (s *shard) replace() {
	old := s.anyReplica()
	var whole bool
	for _, r := range s.replicas {
		whole = whole || r != old && r.engine.Synced() >= s.base
	}
	if !whole || old == s.leader {
		return
	}
	s.world.mover.lost(old)
	old.fsm.Close()
	s.world.must(old.engine.Close())
	s.replicas[old.id] = newReplica(s, old.id)
	s.world.note("replaced", "shard %d: replica %d", s.number, old.id)
}

// raise is for the day when all replicas know the format (replica.RaiseFormat).
func (s *shard) raise() {
	if s.committed.Format() == command.Format {
		return
	}
	for _, r := range s.replicas {
		if r.known < command.Format {
			s.world.note("not raised", "shard %d: replica %d knows format %d", s.number, r.id, r.known)
			return
		}
	}
	s.append(&pb.Command{Kind: &pb.Command_Raise{Raise: &pb.RaiseFormat{Format: command.Format}}})
	s.world.note("raised", "shard %d to format %d", s.number, command.Format)
}

// passTime lets sessions expire and freezes end: in log time, with the next entry.
func (s *shard) passTime() {
	s.timeMs += uint64(s.world.random.IntN(2 * sessionExpiryMs))
	s.world.note("time", "shard %d: %d ms", s.number, s.timeMs)
}

// compact drops the beginning of the log, as far as some replica has made it durable.
func (s *shard) compact() {
	r := s.anyReplica()
	s.base = max(s.base, r.engine.Synced())
	for len(s.log) > 0 && s.log[0].Index <= s.base {
		s.log = s.log[1:]
	}
	s.world.note("compact", "shard %d: up to %d", s.number, s.base)
}

// sweep is what a leader does with what it sees as released, which may be some time ago.
func (s *shard) sweep() {
	m, nothing := &pb.SweepRecords{}, &pb.SweepRecords{}
	holdings := s.leader.fsm.Partitions()
	for number, h := range holdings {
		if h.State == fsm.Released {
			nothing.Swept = append(nothing.Swept, &pb.SweptPartitions{First: uint32(number), Last: uint32(number), Epoch: h.Epoch})
		}
	}
	if len(nothing.Swept) == 0 {
		return
	}
	released := func(number uint16) bool { return holdings[number].State == fsm.Released }
	s.world.must(s.leader.fsm.Keys(released, func(key []byte) bool {
		m.Keys = append(m.Keys, bytes.Clone(key))
		return true
	}))
	s.append(&pb.Command{Kind: &pb.Command_Sweep{Sweep: m}})
	s.append(&pb.Command{Kind: &pb.Command_Sweep{Sweep: nothing}})
	s.world.note("swept", "shard %d: %d keys", s.number, len(m.Keys))
}

// settle applies everything everywhere, and compares. Steps that are on their way stay so: they will be late.
func (s *shard) settle() {
	w := s.world
	var late []request
	for _, r := range s.requests {
		if r.step != nil && len(late) < 20 {
			r.told = func(*fsm.Applied) { w.happened["late step"]++ }
			late = append(late, r)
		}
	}
	s.requests = late
	clear(s.asked)
	for _, r := range s.replicas {
		for r.given < s.last {
			r.applyNext()
		}
	}
	w.lookAtMortals()
	want := s.replicas[0].content()
	s.replicas[0].checkExpiryRows()
	s.replicas[0].checkLeaseRows()
	for _, r := range s.replicas[1:] {
		if !bytes.Equal(r.content(), want) {
			w.fail("shard %d: replicas 0 and %d have applied the same entries and differ", s.number, r.id)
		}
	}
}
