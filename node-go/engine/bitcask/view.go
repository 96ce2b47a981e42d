package bitcask

import (
	"io"
	"sync/atomic"

	"kvorum/node/engine"
)

// view is a copy of the key directory's root and a pinned version.
type view struct {
	engine  *Engine
	version *version
	keydir  *keydir
	applied uint64
	closed  atomic.Bool
}

func (v *view) Applied() uint64 { return v.applied }

func (v *view) Get(key []byte) (engine.Record, bool, error) {
	if err := v.usable(); err != nil {
		return engine.Record{}, false, err
	}
	at, found := v.keydir.get(key)
	if !found {
		return engine.Record{}, false, nil
	}
	r, err := v.engine.read(v.version, at, unsafeString(key), make([]byte, at.size))
	return r, err == nil, err
}

func (v *view) Ascend(from, to []byte, fn func(engine.Record) bool) error {
	return v.Select(from, to, func([]byte) bool { return true }, fn)
}

func (v *view) Select(from, to []byte, want func(key []byte) bool, fn func(engine.Record) bool) error {
	if err := v.usable(); err != nil {
		return err
	}
	end := string(to)
	var buffer []byte
	var failed error
	v.keydir.tree.Ascend(unsafeString(from), func(key string, at entry) bool {
		if to != nil && key >= end {
			return false
		}
		if !want(unsafeBytes(key)) {
			return true
		}
		if cap(buffer) < int(at.size) {
			buffer = make([]byte, at.size, 2*at.size)
		}
		var r engine.Record
		r, failed = v.engine.read(v.version, at, key, buffer[:at.size])
		return failed == nil && fn(r)
	})
	return failed
}

func (v *view) Size() int64 {
	return engine.StreamSize(int64(v.keydir.len()), v.keydir.contentBytes())
}

func (v *view) WriteTo(w io.Writer) (int64, error) {
	stream := engine.NewStreamWriter(w, v.applied, uint64(v.keydir.len()))
	var failed error
	err := v.Ascend(nil, nil, func(r engine.Record) bool {
		failed = stream.Write(r)
		return failed == nil
	})
	if err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return stream.Finish()
}

func (v *view) Close() error {
	if v.closed.CompareAndSwap(false, true) {
		v.version.unpin()
	}
	return nil
}

func (v *view) usable() error {
	if v.closed.Load() {
		return engine.ErrClosed
	}
	return v.engine.broken()
}
