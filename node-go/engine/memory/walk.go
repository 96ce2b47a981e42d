package memory

import (
	"kvorum/node/engine"
)

// headerBytes stands for what a record occupies beside its key and value.
const headerBytes = 40

// item is what a walk stands at: one for the whole walk.
type item struct{ record engine.Record }

func (i *item) Key() []byte { return i.record.Key }

func (i *item) Bytes() int { return headerBytes + len(i.record.Key) + len(i.record.Value) }

func (i *item) Version() (uint64, error) { return i.record.Version, nil }

func (i *item) Record() (engine.Record, error) { return i.record, nil }

func (v *view) Walk(from, to []byte, reverse bool, fn func(engine.Item) bool) error {
	if v.closed.Load() {
		return engine.ErrClosed
	}
	low, high := string(from), string(to)
	here := &item{}
	visit := func(r engine.Record) bool {
		here.record = r
		return fn(here)
	}
	switch {
	case !reverse:
		v.content.Ascend(low, func(key string, r engine.Record) bool { return (to == nil || key < high) && visit(r) })
	case to == nil:
		v.content.Reverse(func(key string, r engine.Record) bool { return key >= low && visit(r) })
	default:
		v.content.Descend(high, func(key string, r engine.Record) bool {
			return key >= high || (key >= low && visit(r))
		})
	}
	return nil
}
