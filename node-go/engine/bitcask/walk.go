package bitcask

import (
	"kvorum/node/engine"
)

// item is what a walk stands at: one for the whole walk.
type item struct {
	view *view
	key  string
	at   entry
}

func (i *item) Key() []byte { return unsafeBytes(i.key) }

func (i *item) Bytes() int { return int(i.at.size) }

// Version reads the record only of a key that was written 2^32 times.
func (i *item) Version() (uint64, error) {
	if i.at.version != versionInRecord {
		return uint64(i.at.version), nil
	}
	r, err := i.Record()
	return r.Version, err
}

func (i *item) Record() (engine.Record, error) {
	return i.view.engine.read(i.view.version, i.at, i.key, make([]byte, i.at.size))
}

func (v *view) Walk(from, to []byte, reverse bool, fn func(engine.Item) bool) error {
	if err := v.usable(); err != nil {
		return err
	}
	low, high := unsafeString(from), unsafeString(to)
	here := &item{view: v}
	visit := func(key string, at entry) bool {
		here.key, here.at = key, at
		return fn(here)
	}
	switch {
	case !reverse:
		v.keydir.tree.Ascend(low, func(key string, at entry) bool {
			return (to == nil || key < high) && visit(key, at)
		})
	case to == nil:
		v.keydir.tree.Reverse(func(key string, at entry) bool { return key >= low && visit(key, at) })
	default:
		// The tree begins at `to` itself, which is not part of the range.
		v.keydir.tree.Descend(high, func(key string, at entry) bool {
			return key >= high || (key >= low && visit(key, at))
		})
	}
	return nil
}
