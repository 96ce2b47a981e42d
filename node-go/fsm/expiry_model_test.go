package fsm

import (
	"bytes"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

// drawMortal draws writes that set, keep and end times to live.
func drawMortal(t *rapid.T) *pb.Write {
	key := rapid.SampledFrom(modelKeys).Draw(t, "key")
	ttl := rapid.Uint64Range(0, 60).Draw(t, "ttl")
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return remove(key)
	case 1:
		return add(key, "+")
	case 2:
		return swap(key, nil, "cas")
	case 3, 4:
		return touch(key, ttl)
	}
	return mortal(key, "v", ttl)
}

// drawMortals is a history of writes and of expiries that name any keys, due or not, by stamps that go back and forth.
func drawMortals(t *rapid.T) []*raft.Log {
	history := []*raft.Log{entry(t, 1, everything(1)), entry(t, 2, raise(command.Format))}
	time := uint64(0)
	for n := range rapid.IntRange(1, 30).Draw(t, "entries") {
		c := writes(rapid.SliceOfN(rapid.Custom(drawMortal), 0, 4).Draw(t, "writes")...)
		if rapid.Bool().Draw(t, "expire") {
			c = expire(rapid.SliceOfN(rapid.SampledFrom(modelKeys), 0, 6).Draw(t, "expired")...)
		}
		time += rapid.Uint64Range(0, 30).Draw(t, "later")
		c.StampMs = time - min(time, rapid.Uint64Range(0, 15).Draw(t, "behind"))
		history = append(history, entryIn(t, uint64(3+n), c, command.Format))
	}
	return history
}

// ttlModel is when each key that is there is due; 0: never.
type ttlModel struct {
	keys map[string]uint64
	time uint64
}

func (m *ttlModel) apply(c *pb.Command) {
	m.time = max(m.time, c.StampMs)
	due := func(ttl uint64) uint64 {
		if ttl == 0 {
			return 0
		}
		return m.time + ttl
	}
	for _, key := range c.GetExpire().GetKeys() {
		if at := m.keys[string(key)]; at > 0 && at <= m.time {
			delete(m.keys, string(key))
		}
	}
	for _, w := range c.GetWrite().GetWrites() {
		key := string(keyOf(w))
		at, found := m.keys[key]
		switch {
		case w.GetDelete() != nil:
			delete(m.keys, key)
		case w.GetPut() != nil:
			m.keys[key] = due(w.GetPut().TtlMs)
		case w.GetTouch() != nil && found:
			m.keys[key] = due(w.GetTouch().TtlMs)
		case w.GetAppend() != nil:
			m.keys[key] = at
		case w.GetCompareAndSet() != nil && !found:
			m.keys[key] = 0
		}
	}
}

func TestExpiryAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, m := newFSM(t, memory.New()), &ttlModel{keys: map[string]uint64{}}
		last := map[string]uint64{}
		for _, e := range drawMortals(t) {
			f.Apply(e)
			c, err := command.Decode(e.Data, command.Format)
			if err != nil {
				t.Fatal(err)
			}
			m.apply(c)
			requireRows(t, f)
			for _, key := range modelKeys {
				r, found, err := f.Get([]byte(key))
				want, exists := m.keys[key]
				if err != nil || found != exists || r.Expiry != want {
					t.Fatalf("after entry %d: %q found %v, due at %d, error %v; want %v, %d", e.Index, key, found, r.Expiry, err, exists, want)
				}
				if found && r.Version < last[key] {
					t.Fatalf("after entry %d: %q has version %d, and had %d", e.Index, key, r.Version, last[key])
				}
				last[key] = max(last[key], r.Version)
			}
		}
	})
}

func TestAReplayWithExpiryGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := drawMortals(t)
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
