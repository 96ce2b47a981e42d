package memory

import (
	"io"
	"sync/atomic"

	"kvorum/node/engine"
)

type view struct {
	content *content
	bytes   int64
	applied uint64
	closed  atomic.Bool
}

func (v *view) Applied() uint64 { return v.applied }

func (v *view) Get(key []byte) (engine.Record, bool, error) {
	if v.closed.Load() {
		return engine.Record{}, false, engine.ErrClosed
	}
	r, ok := v.content.Get(string(key))
	return r, ok, nil
}

func (v *view) Ascend(from, to []byte, fn func(engine.Record) bool) error {
	return v.Select(from, to, func([]byte) bool { return true }, fn)
}

func (v *view) Select(from, to []byte, want func(key []byte) bool, fn func(engine.Record) bool) error {
	if v.closed.Load() {
		return engine.ErrClosed
	}
	end := string(to)
	v.content.Ascend(string(from), func(key string, r engine.Record) bool {
		return (to == nil || key < end) && (!want(r.Key) || fn(r))
	})
	return nil
}

func (v *view) Size() int64 { return engine.StreamSize(int64(v.content.Len()), v.bytes) }

func (v *view) WriteTo(w io.Writer) (int64, error) {
	stream := engine.NewStreamWriter(w, v.applied, uint64(v.content.Len()))
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
	v.closed.Store(true)
	return nil
}
