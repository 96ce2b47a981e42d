package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"kvorum/node/engine"
)

// RunProperty drives an engine with random operations and compares it with a map after each of them.
func RunProperty(t *testing.T, f Factory) {
	parent, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		m := &machine{factory: f, dir: filepath.Join(parent, strconv.Itoa(runs)), content: Content{}}
		var err error
		if m.engine, err = f.Open(m.dir); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := m.close(); err != nil {
				t.Fatal(err)
			}
		}()
		t.Repeat(rapid.StateMachineActions(m))
	})
}

// machine is an engine, what it should hold, and views and streams of its past.
type machine struct {
	factory Factory
	dir     string
	engine  engine.Engine
	content Content
	views   []pastView
	streams []pastStream
}

type pastView struct {
	view    engine.View
	content Content
}

type pastStream struct {
	stream  []byte
	applied uint64
	content Content
}

// Check runs after each action.
func (m *machine) Check(t *rapid.T) {
	if err := m.content.Check(m.engine); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) Apply(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "batches") {
		b := engine.NewBatch(m.engine.Applied() + rapid.Uint64Range(1, 3).Draw(t, "step"))
		for range rapid.IntRange(0, 6).Draw(t, "ops") {
			key := fmt.Appendf(nil, "%d", rapid.IntRange(0, 30).Draw(t, "key"))
			if rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
				b.Delete(key)
				continue
			}
			b.Put(engine.Record{
				Key: key, Value: bytes.Repeat([]byte{'v'}, rapid.IntRange(0, 400).Draw(t, "size")),
				Version: rapid.Uint64().Draw(t, "version"), Expiry: rapid.Uint64().Draw(t, "expiry"),
			})
		}
		if err := m.engine.Apply(b); err != nil {
			t.Fatal(err)
		}
		m.content.Apply(b)
	}
}

func (m *machine) Sync(t *rapid.T) {
	if synced, err := m.engine.Sync(context.Background()); err != nil || synced != m.engine.Applied() {
		t.Fatal(synced, err)
	}
}

func (m *machine) Merge(t *rapid.T) {
	if err := m.engine.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) OpenView(t *rapid.T) {
	if len(m.views) == 4 {
		t.Skip("enough views")
	}
	v, err := m.engine.View()
	if err != nil {
		t.Fatal(err)
	}
	m.views = append(m.views, pastView{v, maps.Clone(m.content)})
}

func (m *machine) CheckView(t *rapid.T) {
	if len(m.views) == 0 {
		t.Skip("no view")
	}
	at := rapid.IntRange(0, len(m.views)-1).Draw(t, "view")
	if err := m.views[at].content.CheckView(m.views[at].view); err != nil {
		t.Fatal(err)
	}
	if err := m.views[at].view.Close(); err != nil {
		t.Fatal(err)
	}
	m.views = append(m.views[:at], m.views[at+1:]...)
}

func (m *machine) Stream(t *rapid.T) {
	v, err := m.engine.View()
	if err != nil {
		t.Fatal(err)
	}
	var to bytes.Buffer
	if n, err := v.WriteTo(&to); err != nil || n != v.Size() {
		t.Fatal(n, v.Size(), err)
	}
	m.streams = append(m.streams, pastStream{to.Bytes(), v.Applied(), maps.Clone(m.content)})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) Restore(t *rapid.T) {
	if len(m.streams) == 0 {
		t.Skip("no stream")
	}
	from := m.streams[rapid.IntRange(0, len(m.streams)-1).Draw(t, "stream")]
	if applied, err := m.engine.Restore(bytes.NewReader(from.stream)); err != nil || applied != from.applied {
		t.Fatal(applied, err)
	}
	m.content = maps.Clone(from.content)
}

func (m *machine) RestoreBroken(t *rapid.T) {
	if len(m.streams) == 0 {
		t.Skip("no stream")
	}
	from := m.streams[rapid.IntRange(0, len(m.streams)-1).Draw(t, "stream")].stream
	cut := rapid.IntRange(0, len(from)-1).Draw(t, "cut")
	var broken *engine.StreamError
	if _, err := m.engine.Restore(bytes.NewReader(from[:cut])); !errors.As(err, &broken) {
		t.Fatal(err)
	}
}

func (m *machine) Reopen(t *rapid.T) {
	if !m.factory.Durable {
		t.Skip("not a durable engine")
	}
	applied := m.engine.Applied()
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.engine, err = m.factory.Open(m.dir); err != nil {
		t.Fatal(err)
	}
	if m.engine.Applied() != applied {
		t.Fatalf("applied %d instead of %d", m.engine.Applied(), applied)
	}
}

func (m *machine) close() error {
	var errs []error
	for _, past := range m.views {
		errs = append(errs, past.view.Close())
	}
	m.views = nil
	return errors.Join(append(errs, m.engine.Close())...)
}
