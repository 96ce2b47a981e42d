package fsm

import (
	"bytes"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

var (
	modelLeases = []byte{1, 2, 3}
	modelParts  = []*pb.PartitionRange{all(), span(0, command.Partitions/2-1), span(command.Partitions/2, command.Partitions-1)}
)

// drawLeased draws writes that make, keep and end leases, and give them keys and take them away.
func drawLeased(t *rapid.T) *pb.Write {
	key, n := rapid.SampledFrom(modelKeys).Draw(t, "key"), rapid.SampledFrom(modelLeases).Draw(t, "lease")
	where := rapid.SampledFrom(modelParts).Draw(t, "parts")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return remove(key)
	case 1:
		return add(key, "+")
	case 2:
		return put(key, "w")
	case 3, 4:
		return grant(n, rapid.Uint64Range(LeaseTTLMsMin, LeaseTTLMsMin+50).Draw(t, "ttl"), where)
	case 5:
		return keepAlive(n, where)
	case 6:
		return revoke(n, where)
	}
	return leased(key, "v", n)
}

// drawLeases is a history of such writes, and of expiries by stamps that go back and forth.
func drawLeases(t *rapid.T) []*raft.Log {
	history := []*raft.Log{entry(t, 1, everything(1)), entry(t, 2, raise(command.Format))}
	time := uint64(0)
	for n := range rapid.IntRange(1, 30).Draw(t, "entries") {
		c := writes(rapid.SliceOfN(rapid.Custom(drawLeased), 0, 6).Draw(t, "writes")...)
		if rapid.IntRange(0, 2).Draw(t, "expire") == 0 {
			c = ending()
		}
		time += rapid.Uint64Range(0, 600).Draw(t, "later")
		c.StampMs = time - min(time, rapid.Uint64Range(0, 300).Draw(t, "behind"))
		history = append(history, entryIn(t, uint64(3+n), c, command.Format))
	}
	return history
}

// leaseModel is which key belongs to which lease (0: to none), and in which partitions each lease lives until when.
type leaseModel struct {
	keys map[string]byte
	live map[byte]map[uint16]bool
	ttl  map[byte]uint64
	due  map[byte]uint64
	time uint64
}

func (m *leaseModel) write(w *pb.Write) errpb.ErrorCode {
	id, bits := partsOf(w)
	asked, _ := decodePartitionSet(bits)
	key := string(keyOf(w))
	switch {
	case w.GetGrantLease() != nil:
		n := id[0]
		if m.live[n] == nil {
			m.live[n] = map[uint16]bool{}
		}
		for p := range asked.all() {
			m.live[n][p] = true
		}
		m.ttl[n] = w.GetGrantLease().TtlMs
		m.due[n] = max(m.due[n], m.time+m.ttl[n])
	case w.GetKeepAlive() != nil:
		for p := range asked.all() {
			if !m.live[id[0]][p] {
				return noLease
			}
		}
		m.due[id[0]] = max(m.due[id[0]], m.time+m.ttl[id[0]])
	case w.GetRevokeLease() != nil:
		m.end(id[0], asked.has)
	case w.GetDelete() != nil:
		delete(m.keys, key)
	case w.GetAppend() != nil:
		m.keys[key] += 0
	case w.GetPut() != nil && w.GetPut().Lease != nil:
		n := w.GetPut().Lease[0]
		if !m.live[n][command.Partition([]byte(key))] {
			return noLease
		}
		m.keys[key] = n
	case w.GetPut() != nil:
		m.keys[key] = 0
	}
	return 0
}

func (m *leaseModel) end(n byte, ends func(uint16) bool) {
	for key, of := range m.keys {
		if of == n && ends(command.Partition([]byte(key))) {
			delete(m.keys, key)
		}
	}
	for p := range m.live[n] {
		if ends(p) {
			delete(m.live[n], p)
		}
	}
	if len(m.live[n]) == 0 {
		delete(m.live, n)
		delete(m.due, n)
	}
}

func TestLeasesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFSM(t, memory.New())
		m := &leaseModel{keys: map[string]byte{}, live: map[byte]map[uint16]bool{}, ttl: map[byte]uint64{}, due: map[byte]uint64{}}
		for _, e := range drawLeases(t) {
			applied := f.Apply(e).(*Applied)
			c, err := command.Decode(e.Data, command.Format)
			if err != nil {
				t.Fatal(err)
			}
			m.time = max(m.time, c.StampMs)
			for i, w := range c.GetWrite().GetWrites() {
				if want, got := m.write(w), codeOf(applied.Results[i].Err); got != want {
					t.Fatalf("entry %d, write %d (%v): %v, want %v", e.Index, i, w, applied.Results[i].Err, want)
				}
			}
			for _, n := range modelLeases {
				if c.GetExpire() != nil && m.live[n] != nil && m.due[n] <= m.time {
					m.end(n, func(uint16) bool { return true })
				}
			}
			requireLeases(t, f)
			if len(f.state.leases.byID) != len(m.live) {
				t.Fatalf("after entry %d there are the leases %v, want %v", e.Index, f.state.leases.byID, m.live)
			}
			for _, key := range modelKeys {
				_, found, err := f.Get([]byte(key))
				if want, exists := m.keys[key]; err != nil || found != exists || f.state.leases.of[key][0] != want {
					t.Fatalf("after entry %d: %q found %v, of %x, error %v; want %v, of %d", e.Index, key, found, f.state.leases.of[key], err, exists, want)
				}
			}
		}
	})
}

func TestAReplayWithLeasesGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := drawLeases(t)
		one, two := newFSM(t, memory.New()), newFSM(t, memory.New())
		for _, e := range history {
			one.Apply(e)
		}
		stop := rapid.IntRange(0, len(history)).Draw(t, "stop")
		for _, e := range history[:stop] {
			two.Apply(e)
		}
		restarted := newFSM(t, two.engine)
		for _, e := range history[rapid.IntRange(0, stop).Draw(t, "from"):] {
			restarted.Apply(e)
		}
		if !bytes.Equal(content(t, restarted.engine), content(t, one.engine)) || !sameState(restarted.state, one.state) {
			t.Fatalf("stopped after %d of %d entries: the content differs", stop, len(history))
		}
	})
}
