package simulation

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sort"

	"kvorum/node/engine/bitcask"
	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	"kvorum/node/vfs/vfstest"
)

// replica is a state machine over an engine over a disk.
type replica struct {
	world *world
	shard *shard
	id    int
	// known is the newest format of commands that its version knows.
	known  uint32
	disk   *vfstest.FS
	engine *bitcask.Engine
	fsm    *fsm.FSM
	// given is the last entry that the state machine was given since it was opened.
	given uint64
}

func newReplica(s *shard, id int) *replica {
	// A version that does not know the shard's format would not become a member (replica.AddNonVoter).
	known := max(s.committed.Format(), uint32(1+s.world.random.IntN(command.Format)))
	r := &replica{world: s.world, shard: s, id: id, known: known, disk: vfstest.New()}
	r.open()
	return r
}

func (r *replica) open() {
	opened, err := bitcask.Open("/engine", bitcask.Options{FS: r.disk, SegmentBytes: 8 << 10, OpenFiles: 4, Idle: true})
	r.world.must(err)
	r.engine = opened
	r.fsm, err = fsm.New(opened, fsm.Options{
		Shard: r.shard.number, FormatMax: r.known, Log: slog.New(slog.DiscardHandler),
		OnFatal: func(err error) { r.world.fail("replica %d: %v", r.id, err) },
	})
	r.world.must(err)
	// Raft gives a state machine again what followed its last snapshot.
	r.given = r.fsm.Applied()
	if r.given > r.shard.base {
		r.given -= r.world.random.Uint64N(min(r.given-r.shard.base, 20) + 1)
	}
}

// applyNext applies the next entry. Now and then the power fails meanwhile.
func (r *replica) applyNext() {
	w, s, before := r.world, r.shard, r.fsm.Applied()
	if r.given < s.base {
		r.installFrom(s.anyReplica())
		return
	}
	at := sort.Search(len(s.log), func(i int) bool { return s.log[i].Index > r.given })
	if at == len(s.log) {
		return
	}
	entry := s.log[at]
	if !w.isCalm() && w.chance(33) {
		r.powerCut("while applying", func() { r.fsm.Apply(entry) })
		return
	}
	result := r.fsm.Apply(entry).(*fsm.Applied)
	r.given = entry.Index
	if result.Skipped != (entry.Index <= before) {
		w.fail("replica %d skipped entry %d: %v, after %d", r.id, entry.Index, result.Skipped, before)
	}
	if result.Skipped {
		w.happened["skip"]++
		return
	}
	w.happened["apply"]++
	if r == s.leader {
		for i, asked := range s.asked[entry.Index] {
			w.answers = append(w.answers, answer{request: asked, applied: result, at: i})
		}
		delete(s.asked, entry.Index)
	}
}

func (r *replica) sync() {
	_, err := r.engine.Sync(context.Background())
	r.world.must(err)
	r.world.happened["sync"]++
}

func (r *replica) merge() {
	r.world.must(r.engine.Merge(context.Background()))
	r.world.happened["merge"]++
}

// mergeHalf loses the power at some moment of a merge.
func (r *replica) mergeHalf() {
	r.powerCut("while merging", func() { r.world.must(r.engine.Merge(context.Background())) })
}

// crash ends the process, or cuts the power.
func (r *replica) crash() {
	if r.world.chance(2) {
		r.restart(r.disk, "killed")
		return
	}
	r.powerCut("idle", func() {})
}

// powerCut does something and loses the power at any moment of it, and with it any part of what was not durable.
func (r *replica) powerCut(when string, do func()) {
	durable := r.engine.Synced()
	left := r.world.random.IntN(6)
	lost := loss(r.world)
	var disk *vfstest.FS
	r.disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Changes() {
			if left--; left == 0 {
				disk = r.disk.Crash(lost)
			}
		}
		return vfstest.Fault{}
	})
	do()
	r.disk.SetHook(nil)
	if disk == nil {
		durable = r.engine.Synced()
		disk = r.disk.Crash(lost)
	}
	r.restart(disk, "power cut "+when)
	if now := r.fsm.Applied(); now < durable {
		r.world.fail("replica %d is at %d after a power cut, %d was durable", r.id, now, durable)
	}
}

// loss keeps all, none, or any part of what was not durable.
func loss(w *world) vfstest.Loss {
	style := w.random.IntN(4)
	return func(p vfstest.Pending) int {
		switch {
		case style == 0:
			return p.Bytes
		case style == 1 || w.chance(3):
			return 0
		case w.chance(2):
			return w.random.IntN(p.Bytes + 1)
		default:
			return p.Bytes
		}
	}
}

func (r *replica) restart(disk *vfstest.FS, why string) {
	before := r.fsm.Applied()
	r.world.mover.lost(r)
	r.fsm.Close()
	r.world.must(r.engine.Close())
	r.disk = disk
	if r.known < command.Format && r.world.chance(3) {
		r.known++
		r.world.note("upgrade", "shard %d: replica %d knows format %d", r.shard.number, r.id, r.known)
	}
	r.open()
	r.world.note(why, "replica %d, from %d to %d", r.id, before, r.fsm.Applied())
	if r == r.shard.leader {
		r.shard.deposed()
	}
}

// installFrom gives the replica another one's content, now and then broken on the way or cut off by a power cut.
func (r *replica) installFrom(other *replica) {
	w := r.world
	view, err := other.engine.View()
	w.must(err)
	var stream bytes.Buffer
	_, err = view.WriteTo(&stream)
	w.must(errors.Join(err, view.Close()))
	// Whoever compacts has the content: without it the log does not begin here.
	if view.Applied() < r.shard.base {
		return
	}
	if view.Applied() > r.fsm.Applied() && w.chance(4) {
		broken := stream.Bytes()[:w.random.IntN(stream.Len())]
		before := r.fsm.Applied()
		if err := r.fsm.Restore(io.NopCloser(bytes.NewReader(broken))); err == nil || r.fsm.Applied() != before {
			w.fail("a broken snapshot was taken: %v, applied %d", err, r.fsm.Applied())
		}
		w.note("broken snapshot", "%d of %d bytes", len(broken), stream.Len())
		return
	}
	restore := func() { w.must(r.fsm.Restore(io.NopCloser(&stream))) }
	if !w.isCalm() && !w.chance(3) {
		r.powerCut("while restoring", restore)
		return
	}
	restore()
	r.given = max(r.given, view.Applied())
	w.note("install", "replica %d is at %d", r.id, r.fsm.Applied())
}

// read looks at a key as it is here and now.
func (r *replica) read() {
	w := r.world
	key := w.truth.anyKey(w)
	record, found, err := r.fsm.Get([]byte(key))
	if err == nil && found {
		w.truth.seen(w, record)
	}
	w.happened["read"]++
}

func (r *replica) content() []byte {
	view, err := r.engine.View()
	r.world.must(err)
	var stream bytes.Buffer
	_, err = view.WriteTo(&stream)
	r.world.must(errors.Join(err, view.Close()))
	return stream.Bytes()
}
