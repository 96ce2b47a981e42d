package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// model is what the state machine should be, in the plainest terms.
type model struct {
	keys   map[string]modelKey
	floors map[uint16]uint64
	owned  map[uint16]bool
	epoch  uint64
	// last version that a key ever had.
	last map[string]uint64
}

type modelKey struct {
	value   string
	version uint64
}

func newModel() *model {
	return &model{keys: map[string]modelKey{}, floors: map[uint16]uint64{}, owned: map[uint16]bool{}, last: map[string]uint64{}}
}

func (m *model) write(w *pb.Write) Result {
	key, ifVersion, result := "", (*uint64)(nil), Result{Kind: KindDelete}
	if p := w.GetPut(); p != nil {
		key, ifVersion, result.Kind = string(p.Key), p.IfVersion, KindPut
	} else {
		key, ifVersion = string(w.GetDelete().Key), w.GetDelete().IfVersion
	}
	number := command.Partition([]byte(key))
	before, exists := m.keys[key]
	switch {
	case !m.owned[number]:
		result.Err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_WRONG_SHARD, "")
	case ifVersion != nil && *ifVersion != before.version:
		result.Err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, "")
		result.Err.Version = before.version
	case result.Kind == KindPut:
		result.Version = before.version + 1
		if !exists {
			result.Version = m.floors[number] + 1
		}
		m.keys[key] = modelKey{string(w.GetPut().Value), result.Version}
	case exists:
		result.Existed = true
		delete(m.keys, key)
		m.floors[number] = max(m.floors[number], before.version)
	}
	return result
}

func (m *model) assign(a *pb.AssignPartitions) (code errpb.ErrorCode) {
	wanted := map[uint16]bool{}
	for _, r := range a.Owned {
		for number := r.First; number <= r.Last; number++ {
			wanted[uint16(number)] = true
		}
	}
	switch {
	case a.Epoch == 0:
		return errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT
	case a.Epoch == m.epoch && fmt.Sprint(wanted) == fmt.Sprint(m.owned):
		return 0
	case a.Epoch <= m.epoch:
		return errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED
	}
	m.epoch, m.owned = a.Epoch, wanted
	return 0
}

func codeOf(e *kverr.Error) errpb.ErrorCode {
	if e == nil {
		return 0
	}
	return e.Code
}

// Few keys, some of them in one partition, so that histories collide.
var modelKeys = []string{"{a}1", "{a}2", "{a}3", "b", "c", "d"}

func drawWrite(t *rapid.T) *pb.Write {
	key := rapid.SampledFrom(modelKeys).Draw(t, "key")
	var ifVersion []uint64
	if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
		ifVersion = []uint64{rapid.Uint64Range(0, 6).Draw(t, "if version")}
	}
	if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
		return remove(key, ifVersion...)
	}
	return put(key, rapid.StringN(0, 4, 16).Draw(t, "value"), ifVersion...)
}

func drawAssign(t *rapid.T) *pb.Command {
	cut := rapid.Uint32Range(0, command.Partitions-2).Draw(t, "cut")
	epoch := rapid.Uint64Range(0, 12).Draw(t, "epoch")
	if rapid.Bool().Draw(t, "all") {
		return assign(epoch, span(cut+1, command.Partitions-1), span(0, cut))
	}
	return assign(epoch, span(cut, command.Partitions-1))
}

// drawHistory starts with owning everything. Indexes have gaps, as no-ops and configurations leave them.
func drawHistory(t *rapid.T) []*raft.Log {
	index := uint64(1)
	history := []*raft.Log{entry(t, index, everything(1))}
	for range rapid.IntRange(1, 25).Draw(t, "entries") {
		c := writes(rapid.SliceOfN(rapid.Custom(drawWrite), 0, 6).Draw(t, "writes")...)
		if rapid.IntRange(0, 7).Draw(t, "assign") == 0 {
			c = drawAssign(t)
		}
		c.StampMs = rapid.Uint64Range(0, 50).Draw(t, "stamp")
		index += rapid.Uint64Range(1, 3).Draw(t, "gap")
		history = append(history, entry(t, index, c))
	}
	return history
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, m := newFSM(t, memory.New()), newModel()
		time := uint64(0)
		for _, e := range drawHistory(t) {
			applied := f.Apply(e).(*Applied)
			c, err := command.Decode(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			time = max(time, c.StampMs)
			m.check(t, c, applied)
			m.checkReads(t, f)
			if f.state.head.logTimeMs != time || f.Applied() != e.Index || f.engine.Applied() != e.Index {
				t.Fatalf("after entry %d: %+v, applied %d", e.Index, f.state.head, f.Applied())
			}
		}
	})
}

func (m *model) check(t *rapid.T, c *pb.Command, applied *Applied) {
	if a := c.GetAssign(); a != nil {
		if code := m.assign(a); code != codeOf(applied.Err) {
			t.Fatalf("%v: error %v, want %v", a, applied.Err, code)
		}
		return
	}
	for i, w := range c.GetWrite().GetWrites() {
		want, got := m.write(w), applied.Results[i]
		if codeOf(want.Err) != codeOf(got.Err) || want.Err != nil && want.Err.Version != got.Err.Version {
			t.Fatalf("%v: error %v, want %v", w, got.Err, want.Err)
		}
		want.Err, got.Err = nil, nil
		if want != got {
			t.Fatalf("%v: %+v, want %+v", w, got, want)
		}
		if got.Version == 0 {
			continue
		}
		key := string(w.GetPut().Key)
		if got.Version <= m.last[key] {
			t.Fatalf("%v: version %d, but the key has had %d before", w, got.Version, m.last[key])
		}
		m.last[key] = got.Version
	}
}

func (m *model) checkReads(t *rapid.T, f *FSM) {
	for _, key := range modelKeys {
		record, found, err := f.Get([]byte(key))
		if !m.owned[command.Partition([]byte(key))] {
			if err == nil {
				t.Fatalf("get %q of another shard", key)
			}
			continue
		}
		want, exists := m.keys[key]
		if err != nil || found != exists || string(record.Value) != want.value || record.Version != want.version {
			t.Fatalf("get %q: %q version %d found %v error %v, want %+v", key, record.Value, record.Version, found, err, want)
		}
	}
}

// Two replicas, and one that stops anywhere and is given the log again from anywhere before, hold the same bytes.
func TestReplayGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := drawHistory(t)
		one, two := newFSM(t, memory.New()), newFSM(t, memory.New())
		for _, e := range history {
			one.Apply(e)
		}
		want := content(t, one.engine)
		stop := rapid.IntRange(0, len(history)).Draw(t, "stop")
		for _, e := range history[:stop] {
			two.Apply(e)
		}
		restarted := newFSM(t, two.engine)
		for _, e := range history[rapid.IntRange(0, stop).Draw(t, "from"):] {
			before := restarted.engine.Applied()
			applied := restarted.Apply(e).(*Applied)
			if applied.Skipped != (e.Index <= before) {
				t.Fatalf("entry %d after %d: skipped %v", e.Index, before, applied.Skipped)
			}
		}
		if got := content(t, restarted.engine); !bytes.Equal(got, want) {
			t.Fatalf("stopped after %d of %d entries: the content differs", stop, len(history))
		}
		if *restarted.state != *one.state {
			t.Fatalf("the state differs: %+v, %+v", restarted.state.head, one.state.head)
		}
	})
}
