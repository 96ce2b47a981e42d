package simulation

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"kvorum/node/engine"
	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

// halves of the partitions move, each by itself.
const halves = 2

func halfOf(key string) int { return int(command.Partition([]byte(key))) * halves / command.Partitions }

func rangeOf(half int) []*pb.PartitionRange {
	const size = command.Partitions / halves
	return []*pb.PartitionRange{{First: uint32(half * size), Last: uint32((half+1)*size - 1)}}
}

// freezeMs is short beside what passTime lets pass.
const freezeMs = 300

type phase int

const (
	idle phase = iota
	begun
	copying
	freezing
	completing
	releasing
	activating
	// From here on control is at work: the job is gone.
	thawing
	discarding
	forwarding
)

// mover moves a half from one shard to the other, again and again: first as the job of the receiver's leader (node-go/move),
// whose own proposals come in their order or not at all, and whose messages to the giver may be lost, doubled or late; and once
// that has broken, as control, which has messages only.
type mover struct {
	world *world
	epoch uint64
	half  int
	// owner is who owns each half, as control knows it.
	owner    [halves]int
	from, to *shard
	phase    phase
	// source is a replica of the giver; void when that has restarted since.
	source *replica
	export *fsm.Export
	// answered says that the proposal that the job waits for was answered; refused, that the answer was no.
	waiting, refused bool
}

// act does the next thing, or asks again.
func (m *mover) act() {
	w := m.world
	if m.phase != idle && m.phase < thawing && !w.isCalm() && w.chance(50) {
		m.breaks("killed")
		return
	}
	switch m.phase {
	case idle:
		m.begin()
	case begun:
		m.after(func() { m.open() })
	case copying, freezing:
		m.round()
	case completing:
		m.after(func() { m.phase = releasing })
	case releasing:
		m.ask(m.from, pb.MovePartitions_STEP_RELEASE, func() { m.activate() }, func(uint64) { m.breaks("not released") })
	case activating:
		m.after(m.done)
	case thawing:
		m.ask(m.from, pb.MovePartitions_STEP_THAW, func() { m.phase = discarding }, m.judge)
	case discarding:
		m.ask(m.to, pb.MovePartitions_STEP_DISCARD, m.over, m.notSwept)
	case forwarding:
		m.ask(m.to, pb.MovePartitions_STEP_ACTIVATE, m.done, func(epoch uint64) { w.fail("released in %d, and not activated: %d", m.epoch, epoch) })
	}
}

// begin waits until nothing is left at the receiver, as control does; now and then it has looked too early. In a storm it rests
// after a failure, also as control does: what breaks are the moves that a storm has met, rather than many beginnings.
func (m *mover) begin() {
	if !m.world.isCalm() && !m.world.chance(10) {
		return
	}
	half := m.world.random.IntN(halves)
	from, to := m.world.shards[m.owner[half]], m.world.shards[1-m.owner[half]]
	if to.committed.Partitions()[rangeOf(half)[0].GetFirst()].State != fsm.None && !m.world.chance(50) {
		return
	}
	m.epoch++
	m.half, m.from, m.to = half, from, to
	m.phase = begun
	m.propose(m.step(pb.MovePartitions_STEP_IMPORT))
	m.world.note("move", "half %d from shard %d, epoch %d", m.half, m.from.number, m.epoch)
}

func (m *mover) step(step pb.MovePartitions_Step) *pb.Command {
	s := &pb.MovePartitions{Step: step, Epoch: m.epoch, Partitions: rangeOf(m.half)}
	if step == pb.MovePartitions_STEP_FREEZE {
		s.FreezeMs = freezeMs
	}
	return &pb.Command{Kind: &pb.Command_Move{Move: s}}
}

func takesTimes(c *pb.Command) bool {
	return len(c.GetImport().GetLeases()) > 0 ||
		slices.ContainsFunc(c.GetImport().GetRecords(), func(r *pb.ImportedRecord) bool { return r.GetTtlMs() > 0 || len(r.GetLease()) > 0 })
}

// propose is the job's own: the receiver's leader appends it. Its answer comes when that applies it, while it leads.
func (m *mover) propose(c *pb.Command) {
	epoch := m.epoch
	if takesTimes(c) && m.to.leader.fsm.Format() < command.Format {
		m.breaks("the receiver knows no times to live")
		return
	}
	m.waiting, m.refused = true, false
	index := m.to.append(c)
	m.to.asked[index] = []request{{told: func(a *fsm.Applied) {
		if m.epoch == epoch && m.waiting {
			m.waiting, m.refused = false, a.Err != nil || a.Already
		}
	}}}
}

// after goes on when the job's proposal was answered.
func (m *mover) after(next func()) {
	switch {
	case m.waiting:
	case m.refused:
		m.breaks("refused")
	default:
		next()
	}
}

// ask sends a step as a message, one copy more each time. Whichever copy is answered first is heard.
func (m *mover) ask(s *shard, step pb.MovePartitions_Step, yes func(), no func(epoch uint64)) {
	epoch, now := m.epoch, m.phase
	s.requests = append(s.requests, request{step: m.step(step), told: func(a *fsm.Applied) {
		switch {
		case m.epoch != epoch || m.phase != now:
			m.world.happened["late step"]++
		case a.Err == nil:
			yes()
		default:
			no(a.Err.Epoch)
		}
	}})
}

func (m *mover) open() {
	m.source = m.from.leader
	if m.world.chance(10) {
		// As right, and far behind.
		m.source = m.from.anyReplica()
	}
	x, err := m.source.fsm.Export(m.epoch, rangeOf(m.half))
	if err != nil {
		m.breaks("no export")
		return
	}
	m.export, m.phase = x, copying
	entry := &pb.ImportRecords{Epoch: m.epoch}
	m.world.must(x.Records(func(r engine.Record) bool {
		entry.Records = append(entry.Records, m.record(bytes.Clone(r.Key), r))
		return true
	}))
	m.propose(&pb.Command{Kind: &pb.Command_Import{Import: entry}})
}

// round copies what has changed, and asks for the freeze at some time.
func (m *mover) round() {
	if m.waiting || m.refused {
		m.after(nil)
		return
	}
	keys, frozen, err := m.export.Changed(context.Background(), false)
	if err != nil {
		m.breaks(err.Error())
		return
	}
	entry := &pb.ImportRecords{Epoch: m.epoch}
	for _, key := range m.world.truth.keys() {
		if _, changed := keys[key]; changed {
			m.copy(entry, key)
			delete(keys, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		m.copy(entry, key)
	}
	if frozen != nil && m.export.Err() == nil {
		for _, f := range frozen {
			entry.Complete = append(entry.Complete, &pb.ImportedPartition{Partition: uint32(f.Partition), Floor: f.Version})
		}
		entry.Leases = leasesOf(m.export)
		m.phase = completing
	} else if m.phase == freezing || m.world.chance(3) {
		m.phase = freezing
		m.ask(m.from, pb.MovePartitions_STEP_FREEZE, func() {}, func(uint64) { m.breaks("not frozen") })
	}
	if len(entry.Records)+len(entry.Removed)+len(entry.Complete) > 0 {
		m.propose(&pb.Command{Kind: &pb.Command_Import{Import: entry}})
	}
}

func (m *mover) copy(entry *pb.ImportRecords, key string) {
	r, found, err := m.export.Get(key)
	m.world.must(err)
	if found {
		entry.Records = append(entry.Records, m.record([]byte(key), r))
	} else {
		entry.Removed = append(entry.Removed, []byte(key))
	}
}

func (m *mover) record(key []byte, r engine.Record) *pb.ImportedRecord {
	lease, err := m.export.Lease(key)
	m.world.must(err)
	return &pb.ImportedRecord{Key: key, Value: bytes.Clone(r.Value), Version: r.Version, TtlMs: m.export.Left(r), Lease: lease}
}

func (m *mover) activate() {
	m.phase = activating
	m.propose(m.step(pb.MovePartitions_STEP_ACTIVATE))
}

// breaks ends the job. Control finds out what became of the move.
func (m *mover) breaks(why string) {
	m.world.note("move broken", "epoch %d: %s", m.epoch, why)
	m.close()
	m.phase = thawing
}

// judge: only a refusal with the move's own epoch says that it was released.
func (m *mover) judge(epoch uint64) {
	if epoch != m.epoch {
		m.world.fail("the thaw of %d was refused because of %d", m.epoch, epoch)
	}
	m.world.happened["went forward"]++
	m.phase = forwarding
}

// notSwept: what an earlier move has left is still being swept, so that this one has not begun. It is asked again.
func (m *mover) notSwept(epoch uint64) {
	if epoch >= m.epoch {
		m.world.fail("thawed in %d, and not discarded: %d", m.epoch, epoch)
	}
	m.world.happened["not swept"]++
}

func (m *mover) over() {
	m.world.note("thawed", "epoch %d", m.epoch)
	m.phase = idle
}

func (m *mover) done() {
	m.world.note("moved", "half %d to shard %d, epoch %d", m.half, m.to.number, m.epoch)
	m.owner[m.half] = 1 - m.owner[m.half]
	// The other shard counts by another time.
	clear(m.world.mortals.due)
	clear(m.world.leased.due)
	m.close()
	m.phase = idle
}

func (m *mover) close() {
	if m.export != nil {
		m.world.must(m.export.Close())
		m.export, m.source = nil, nil
	}
}

// lost: a replica ends, and with it the export that it serves.
func (m *mover) lost(r *replica) {
	if m.source == r && m.export != nil {
		m.breaks("the exporter is gone")
	}
}

// deposed: a leadership ends, and with it its job.
func (m *mover) deposed(s *shard) {
	if m.to == s && m.phase != idle && m.phase < thawing {
		m.breaks("deposed")
	}
}

// settle ends what is under way, with control's messages and nobody else's in between.
func (m *mover) settle() {
	if m.phase != idle && m.phase < thawing {
		m.breaks("the round ends")
	}
	for m.phase != idle {
		m.act()
		m.to.sweep()
		for _, s := range []*shard{m.from, m.to} {
			for len(s.requests) > 0 {
				s.commit()
			}
			for s.leader.given < s.last {
				s.leader.applyNext()
			}
		}
		for len(m.world.answers) > 0 {
			m.world.deliverAnswer()
		}
	}
}
