package move

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"kvorum/node/engine"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	nodev1 "kvorum/node/gen/node/v1"
)

// changesKept is some hundred keys.
const changesKept = 16 << 10

// Many times more keys change, come and go while the view is being sent than an export keeps. What arrives is what is there.
func TestAnExportOfMoreChangesThanItKeeps(t *testing.T) {
	w := &world{t: t, cut: make(chan struct{})}
	w.a = newGroupThatKeeps(w, "A", 1, changesKept)
	t.Cleanup(w.a.close)
	owned := []*command.PartitionRange{{First: 0, Last: 1023}}
	w.a.must(&command.Command{Kind: &command.Command_Assign{Assign: &command.AssignPartitions{Epoch: 1, Owned: owned}}})
	w.fill(3000)
	x, refused := w.a.node().fsm.Export(2, owned)
	if refused != nil {
		t.Fatal(refused)
	}
	defer x.Close()
	random := rand.New(rand.NewPCG(1, 1))
	arrived, caughtUp, written := map[string]engine.Record{}, false, 0
	err := Export(t.Context(), x, fsmcommand.Format, func(m *nodev1.ExportResponse) error {
		for _, r := range m.GetRecords() {
			arrived[string(r.GetKey())] = engine.Record{Value: r.GetValue(), Version: r.GetVersion()}
		}
		for _, key := range m.GetRemoved() {
			delete(arrived, string(key))
		}
		switch {
		case !caughtUp && !m.GetCaughtUp():
			written += w.churn(random, 60)
		case !caughtUp:
			caughtUp = true
			freeze := &nodev1.MoveRequest{Step: nodev1.MoveStep_MOVE_STEP_FREEZE, Epoch: 2, Partitions: whole(), FreezeMs: 60_000}
			w.a.must(Command(freeze))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if written < 4*changesKept/exportedKey {
		t.Fatalf("only %d keys have changed", written)
	}
	there := w.a.values()
	for key, r := range there {
		if got := arrived[key]; got.Version != r.Version || !bytes.Equal(got.Value, r.Value) {
			t.Fatalf("%s has version %d, and arrived with %d", key, r.Version, got.Version)
		}
	}
	if len(arrived) != len(there) {
		t.Fatalf("%d keys are there, %d have arrived", len(there), len(arrived))
	}
}

// Between two looks at what has changed a key comes back that was removed. An import puts what a message has, and then removes.
func TestAKeyThatComesBackWhileTheViewIsSentArrives(t *testing.T) {
	w := &world{t: t, cut: make(chan struct{})}
	w.a = newGroup(w, "A", 1)
	t.Cleanup(w.a.close)
	owned := []*command.PartitionRange{{First: 0, Last: 1023}}
	w.a.must(&command.Command{Kind: &command.Command_Assign{Assign: &command.AssignPartitions{Epoch: 1, Owned: owned}}})
	key := []byte("key-1")
	put := &command.Write{Kind: &command.Write_Put{Put: &command.Put{Key: key, Value: []byte("v")}}}
	remove := &command.Write{Kind: &command.Write_Delete{Delete: &command.Delete{Key: key}}}
	write := func(one *command.Write) {
		batch := &command.WriteBatch{Writes: []*command.Write{one}}
		w.a.must(&command.Command{Kind: &command.Command_Write{Write: batch}})
	}
	write(put)
	x, refused := w.a.node().fsm.Export(2, owned)
	if refused != nil {
		t.Fatal(refused)
	}
	defer x.Close()
	there := false
	p := packer{left: x.Left, lease: x.Lease, send: func(m *nodev1.ExportResponse) error {
		there = (there || len(m.GetRecords()) > 0) && len(m.GetRemoved()) == 0
		return nil
	}}
	for _, one := range []*command.Write{remove, put} {
		write(one)
		if err := p.drain(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	if !there {
		t.Fatal("the key is there, and has not arrived")
	}
}

// exportedKey is about what a changed key costs.
const exportedKey = 72

// churn changes some keys, deletes some and makes some.
func (w *world) churn(random *rand.Rand, n int) int {
	batch := &command.WriteBatch{}
	for range n {
		key := fmt.Appendf(nil, "key-%d", random.IntN(6000))
		if random.IntN(3) == 0 {
			batch.Writes = append(batch.Writes, &command.Write{Kind: &command.Write_Delete{Delete: &command.Delete{Key: key}}})
		} else {
			value := fmt.Appendf(nil, "%d", random.Uint64())
			batch.Writes = append(batch.Writes, &command.Write{Kind: &command.Write_Put{Put: &command.Put{Key: key, Value: value}}})
		}
	}
	w.a.must(&command.Command{Kind: &command.Command_Write{Write: batch}})
	return n
}
