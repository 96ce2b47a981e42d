package fsm

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"maps"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// fataler is a testing.T, a testing.B or a rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newFSM(t fataler, e engine.Engine) *FSM {
	t.Helper()
	f, err := New(e, Options{Shard: 1, Log: quiet(), OnFatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return f
}

// owner is a state machine whose shard owns everything since entry 1.
func owner(t fataler) *FSM {
	t.Helper()
	f := newFSM(t, memory.New())
	if a := apply(t, f, 1, everything(1)); a.Err != nil {
		t.Fatalf("assign: %v", a.Err)
	}
	return f
}

func entry(t fataler, index uint64, c *pb.Command) *raft.Log {
	t.Helper()
	return entryIn(t, index, c, 1)
}

func entryIn(t fataler, index uint64, c *pb.Command, format uint32) *raft.Log {
	t.Helper()
	data, err := command.Encode(c, format)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return &raft.Log{Index: index, Term: 1 + index/10, Type: raft.LogCommand, Data: data}
}

func apply(t fataler, f *FSM, index uint64, c *pb.Command) *Applied {
	t.Helper()
	return f.Apply(entry(t, index, c)).(*Applied)
}

func put(key, value string, ifVersion ...uint64) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Put{Put: &pb.Put{Key: []byte(key), Value: []byte(value), IfVersion: optional(ifVersion)}}}
}

func remove(key string, ifVersion ...uint64) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Delete{Delete: &pb.Delete{Key: []byte(key), IfVersion: optional(ifVersion)}}}
}

func optional(list []uint64) *uint64 {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

func writes(list ...*pb.Write) *pb.Command {
	return &pb.Command{Kind: &pb.Command_Write{Write: &pb.WriteBatch{Writes: list}}}
}

func assign(epoch uint64, ranges ...*pb.PartitionRange) *pb.Command {
	return &pb.Command{Kind: &pb.Command_Assign{Assign: &pb.AssignPartitions{Epoch: epoch, Owned: ranges}}}
}

func span(first, last uint32) *pb.PartitionRange { return &pb.PartitionRange{First: first, Last: last} }

func everything(epoch uint64) *pb.Command { return assign(epoch, span(0, command.Partitions-1)) }

// content is all that an engine holds, as bytes.
func content(t fataler, e engine.Engine) []byte {
	t.Helper()
	view, err := e.View()
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	defer view.Close()
	var stream bytes.Buffer
	if _, err := view.WriteTo(&stream); err != nil {
		t.Fatalf("write the view: %v", err)
	}
	return stream.Bytes()
}

// sameState compares what two replicas know, their sessions included.
func sameState(a, b *state) bool {
	if !maps.Equal(a.expiries, b.expiries) || a.applied != b.applied || a.head != b.head || a.epoch != b.epoch ||
		a.partitions != b.partitions || a.thawMs != b.thawMs || len(a.sessions.byID) != len(b.sessions.byID) || a.sessions.answers != b.sessions.answers ||
		a.sessions.kept != b.sessions.kept {
		return false
	}
	for id, s := range a.sessions.byID {
		other := b.sessions.byID[id]
		if other == nil || !bytes.Equal(s.encode(), other.encode()) {
			return false
		}
	}
	return a.sessions.byExpiry.Len() == b.sessions.byExpiry.Len() && sameLeases(a.leases, b.leases)
}

func requireValue(t *testing.T, f *FSM, key, value string, version uint64) {
	t.Helper()
	record, found, err := f.Get([]byte(key))
	if err != nil || !found || string(record.Value) != value || record.Version != version || string(record.Key) != key {
		t.Fatalf("get %q: %q version %d, found %v, error %v; want %q version %d", key, record.Value, record.Version, found, err, value, version)
	}
}

func requireAbsent(t *testing.T, f *FSM, key string) {
	t.Helper()
	if record, found, err := f.Get([]byte(key)); found || err != nil {
		t.Fatalf("get %q: %v, error %v; want nothing", key, record, err)
	}
}

func requireCode(t *testing.T, err error, code errpb.ErrorCode) *kverr.Error {
	t.Helper()
	var e *kverr.Error
	if !errors.As(err, &e) || e == nil || e.Code != code {
		t.Fatalf("error is %v, want %v", err, code)
	}
	return e
}

// broken is an engine whose methods fail when told to.
type broken struct {
	engine.Engine
	apply  error
	get    error
	look   error
	sync   error
	synced func(uint64) uint64
	// onGet and onApply are called ahead of the real call.
	onGet   func()
	onApply func()
}

func (b *broken) Apply(batch *engine.Batch) error {
	if b.onApply != nil {
		b.onApply()
	}
	if b.apply != nil {
		return b.apply
	}
	return b.Engine.Apply(batch)
}

func (b *broken) Version(key []byte) (uint64, bool, error) {
	if b.look != nil {
		return 0, false, b.look
	}
	return b.Engine.Version(key)
}

func (b *broken) Get(key []byte) (engine.Record, bool, error) {
	if b.onGet != nil {
		b.onGet()
	}
	if b.get != nil {
		return engine.Record{}, false, b.get
	}
	return b.Engine.Get(key)
}
