package simulation

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strings"

	"kvorum/node/engine"
	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

const (
	mortalKeys  = 8
	mortalTTLMs = 1_500
)

// mortals are keys that live for a time, and what is known of them: each put and append writes a token of its own.
type mortals struct {
	tokens int
	// seen are the tokens in the values when they were looked at last; gone are those that had been there before: none comes back.
	seen map[string][]string
	gone map[string]bool
	// due is when a key may be gone, by the log time of the shard that it was written to.
	due map[string]dueAt
}

type dueAt struct {
	shard uint32
	at    uint64
}

func newMortals() mortals {
	return mortals{seen: map[string][]string{}, gone: map[string]bool{}, due: map[string]dueAt{}}
}

// writeMortal commits a write of somebody who waits for no answer, in a shard whose leader can.
func (s *shard) writeMortal() {
	w := s.world
	for _, other := range w.shards {
		if other.committed.Format() < command.Format || s.leader.fsm.Format() < command.Format {
			return
		}
	}
	name := fmt.Sprintf("mortal-%d", w.random.IntN(mortalKeys))
	key := []byte(name)
	w.mortals.tokens++
	token := fmt.Appendf(nil, "%d;", w.mortals.tokens)
	ttl := uint64(w.random.IntN(mortalTTLMs))
	write := &pb.Write{}
	switch w.random.IntN(8) {
	case 0:
		write.Kind = &pb.Write_Delete{Delete: &pb.Delete{Key: key}}
	case 1:
		write.Kind = &pb.Write_Append{Append: &pb.Append{Key: key, Value: token, Limit: valueLimit}}
	case 2, 3:
		write.Kind = &pb.Write_Touch{Touch: &pb.Touch{Key: key, TtlMs: ttl}}
	default:
		write.Kind = &pb.Write_Put{Put: &pb.Put{Key: key, Value: token, TtlMs: ttl}}
	}
	s.append(&pb.Command{Kind: &pb.Command_Write{Write: &pb.WriteBatch{Writes: []*pb.Write{write}}}})
	if record, found, err := s.committed.Get(key); err == nil && found {
		w.mortals.due[name] = dueAt{shard: s.number, at: record.Expiry}
	}
	w.lookAtMortals()
	w.happened["mortal"]++
}

// expire is what the leader does with what it sees as due. It may be behind, and name what is not due any more.
func (s *shard) expire() {
	w := s.world
	due, err := s.leader.fsm.Due(s.timeMs)
	w.must(err)
	if len(due.Keys) == 0 && !due.Leases {
		return
	}
	before, leased := s.mortalsThere(), s.leasedThere()
	s.append(&pb.Command{Kind: &pb.Command_Expire{Expire: &pb.Expire{Keys: due.Keys, Leases: due.Leases}}})
	s.checkEnded(leased)
	after := s.mortalsThere()
	for name := range before {
		known := w.mortals.due[name]
		if after[name] {
			continue
		}
		if known.shard == s.number && (known.at == 0 || known.at > s.committed.LogTimeMs()) {
			w.fail("shard %d: %s was due at %d, and is gone at %d", s.number, name, known.at, s.committed.LogTimeMs())
		}
		w.happened["expired key"]++
	}
	w.lookAtMortals()
}

// mortalsThere are those that the shard would serve.
func (s *shard) mortalsThere() map[string]bool {
	there := map[string]bool{}
	for n := range mortalKeys {
		name := fmt.Sprintf("mortal-%d", n)
		if _, found, err := s.committed.Get([]byte(name)); err == nil && found {
			there[name] = true
		}
	}
	return there
}

// lookAtMortals: what was there once and was not there at some later moment is never there again, whichever shard is asked.
func (w *world) lookAtMortals() {
	m := &w.mortals
	for n := range mortalKeys {
		name := fmt.Sprintf("mortal-%d", n)
		var tokens []string
		var owned bool
		for _, s := range w.shards {
			if s.committed.Partitions()[command.Partition([]byte(name))].State == fsm.Owned {
				record, _, err := s.committed.Get([]byte(name))
				w.must(err)
				tokens, owned = strings.SplitAfter(string(record.Value), ";"), true
			}
		}
		if !owned {
			continue
		}
		now := map[string]bool{}
		for _, token := range tokens {
			now[token] = true
			if token != "" && m.gone[token] {
				w.fail("%s has %s, which was gone", name, token)
			}
		}
		for _, token := range m.seen[name] {
			if !now[token] {
				m.gone[token] = true
			}
		}
		m.seen[name] = tokens
	}
}

// checkExpiryRows: a record that lives for a time has one row that says so, and no other has one.
func (r *replica) checkExpiryRows() {
	view, err := r.engine.View()
	r.world.must(err)
	defer view.Close()
	records, rows := map[string]uint64{}, map[string]uint64{}
	r.world.must(view.Ascend([]byte{2}, nil, func(record engine.Record) bool {
		switch key := record.Key; {
		case key[0] == 4:
			rows[string(key[9:])] = binary.BigEndian.Uint64(key[1:])
		case key[0] == 2 && record.Expiry > 0:
			records[string(key[1:])] = record.Expiry
		}
		return true
	}))
	if !maps.Equal(records, rows) {
		r.world.fail("shard %d: records are due at %v, their rows say %v", r.shard.number, records, rows)
	}
}
