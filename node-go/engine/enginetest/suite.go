// Package enginetest is the contract of package engine as tests: every engine runs the same ones.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"kvorum/node/engine"
)

// Factory opens the engine under test.
type Factory struct {
	// Open opens what is in dir, or something new. It is called again for the same dir after a Close.
	Open func(dir string) (engine.Engine, error)
	// Durable engines have all that was applied when they are opened again after a Close.
	Durable bool
}

// Run holds an engine to the contract.
func Run(t *testing.T, f Factory) {
	groups := map[string]map[string]func(*testing.T, Factory){
		"apply":   applyTests,
		"view":    viewTests,
		"stream":  streamTests,
		"life":    lifeTests,
		"restore": restoreTests,
	}
	for group, tests := range groups {
		for name, test := range tests {
			t.Run(group+"/"+name, func(t *testing.T) { test(t, f) })
		}
	}
}

// Content is what an engine or view should hold.
type Content map[string]engine.Record

// Check compares all that can be read with what should be there.
func (c Content) Check(e engine.Engine) error {
	v, err := e.View()
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	if err := c.CheckView(v); err != nil {
		return errors.Join(err, v.Close())
	}
	if err := v.Close(); err != nil {
		return err
	}
	if keys := e.Stats().Keys; keys != len(c) {
		return fmt.Errorf("stats count %d keys, should be %d", keys, len(c))
	}
	for key, want := range c {
		got, found, err := e.Get([]byte(key))
		if err != nil || !found || !Equal(got, want) {
			return fmt.Errorf("get %q: %v, %t, %w; should be %v", key, got, found, err, want)
		}
		if version, found, err := e.Version([]byte(key)); err != nil || !found || version != want.Version {
			return fmt.Errorf("version of %q: %d, %t, %w; should be %d", key, version, found, err, want.Version)
		}
	}
	return nil
}

// CheckView is Check for a view.
func (c Content) CheckView(v engine.View) error {
	seen := 0
	var fault error
	err := v.Ascend(nil, nil, func(got engine.Record) bool {
		want, expected := c[string(got.Key)]
		if !expected || !Equal(got, want) {
			fault = fmt.Errorf("a view has %v, should be %v (%t)", got, want, expected)
		}
		seen++
		return fault == nil
	})
	if err != nil || fault != nil {
		return errors.Join(err, fault)
	}
	if seen != len(c) {
		return fmt.Errorf("a view has %d keys, should have %d", seen, len(c))
	}
	return nil
}

// Apply does to the content what a batch does to an engine.
func (c Content) Apply(b *engine.Batch) {
	for _, op := range b.Ops() {
		r := op.Record
		if op.Delete {
			delete(c, string(r.Key))
			continue
		}
		r.Key, r.Value, r.Index = bytes.Clone(r.Key), bytes.Clone(r.Value), b.Index
		c[string(r.Key)] = r
	}
}

// Equal compares all fields; nil and empty are the same.
func Equal(a, b engine.Record) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) &&
		a.Version == b.Version && a.Expiry == b.Expiry && a.Index == b.Index
}

// Stream is what a view writes.
func Stream(t testing.TB, e engine.Engine) []byte {
	t.Helper()
	v := must(e.View())(t)
	defer closeIt(t, v)
	var to bytes.Buffer
	n := must(v.WriteTo(&to))(t)
	if n != int64(to.Len()) || n != v.Size() {
		t.Fatalf("WriteTo returned %d and wrote %d bytes; Size is %d", n, to.Len(), v.Size())
	}
	return to.Bytes()
}

func open(t *testing.T, f Factory) engine.Engine {
	t.Helper()
	e := must(f.Open(t.TempDir()))(t)
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func closeIt(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func put(key, value string) engine.Op {
	return engine.Op{Record: engine.Record{Key: []byte(key), Value: []byte(value), Version: uint64(len(key) + len(value))}}
}

func del(key string) engine.Op {
	return engine.Op{Delete: true, Record: engine.Record{Key: []byte(key)}}
}

func batch(index uint64, ops ...engine.Op) *engine.Batch {
	b := engine.NewBatch(index)
	for _, op := range ops {
		if op.Delete {
			b.Delete(op.Record.Key)
		} else {
			b.Put(op.Record)
		}
	}
	return b
}

// apply also keeps the model.
func apply(t testing.TB, e engine.Engine, model Content, index uint64, ops ...engine.Op) {
	t.Helper()
	b := batch(index, ops...)
	if err := e.Apply(b); err != nil {
		t.Fatal(err)
	}
	model.Apply(b)
	if e.Applied() != index {
		t.Fatalf("applied is %d after batch %d", e.Applied(), index)
	}
}

func check(t testing.TB, e engine.Engine, model Content) {
	t.Helper()
	if err := model.Check(e); err != nil {
		t.Fatal(err)
	}
}

// fill applies n batches of a few keys each, in which keys are overwritten and deleted.
func fill(t testing.TB, e engine.Engine, model Content, from, n uint64) {
	t.Helper()
	for i := from; i < from+n; i++ {
		apply(t, e, model, i,
			put(fmt.Sprintf("key-%03d", i%97), fmt.Sprintf("value %d %s", i, bytes.Repeat([]byte("x"), int(i%50)))),
			del(fmt.Sprintf("key-%03d", i*7%89)),
			put(fmt.Sprintf("other-%d", i%11), ""))
	}
}

func sync(t testing.TB, e engine.Engine) uint64 {
	t.Helper()
	return must(e.Sync(context.Background()))(t)
}
