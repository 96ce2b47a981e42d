// Package memory is an engine that keeps everything in memory: the model that others are compared with, and the engine of
// tests that are about something else. Nothing survives Close.
package memory

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/tidwall/btree"

	"kvorum/node/engine"
)

type content = btree.Map[string, engine.Record]

// Engine is safe for concurrent use as engine.Engine says.
type Engine struct {
	mu      sync.RWMutex
	content *content
	bytes   int64 // of keys and values
	applied uint64
	synced  uint64
	closed  bool
}

var _ engine.Engine = (*Engine)(nil)

// New is an empty engine.
func New() *Engine { return &Engine{content: new(content)} }

func (e *Engine) Apply(b *engine.Batch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.ErrClosed
	}
	if err := b.Check(e.applied); err != nil {
		return err
	}
	for _, op := range b.Ops() {
		if op.Delete {
			e.delete(string(op.Record.Key))
			continue
		}
		r := op.Record
		r.Key, r.Value, r.Index = bytes.Clone(r.Key), bytes.Clone(r.Value), b.Index
		e.set(r)
	}
	e.applied = b.Index
	return nil
}

func (e *Engine) Applied() uint64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.applied
}

func (e *Engine) Get(key []byte) (engine.Record, bool, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return engine.Record{}, false, engine.ErrClosed
	}
	r, ok := e.content.Get(string(key))
	return r, ok, nil
}

func (e *Engine) Version(key []byte) (uint64, bool, error) {
	r, found, err := e.Get(key)
	return r.Version, found, err
}

func (e *Engine) View() (engine.View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, engine.ErrClosed
	}
	return &view{content: e.content.Copy(), bytes: e.bytes, applied: e.applied}, nil
}

// Sync has nothing to make durable; it only keeps the account that callers rely on.
func (e *Engine) Sync(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, engine.ErrClosed
	}
	e.synced = e.applied
	return e.synced, nil
}

func (e *Engine) Synced() uint64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.synced
}

func (e *Engine) Restore(r io.Reader) (uint64, error) {
	stream, err := engine.NewStreamReader(r)
	if err != nil {
		return 0, err
	}
	fresh := New()
	for {
		record, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		fresh.set(record)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, engine.ErrClosed
	}
	e.content, e.bytes = fresh.content, fresh.bytes
	e.applied, e.synced = stream.Applied(), stream.Applied()
	return e.applied, nil
}

func (e *Engine) Merge(ctx context.Context) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return engine.ErrClosed
	}
	return ctx.Err()
}

func (e *Engine) Stats() engine.Stats {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return engine.Stats{
		Keys: e.content.Len(), LiveBytes: e.bytes, TotalBytes: e.bytes,
		Applied: e.applied, Synced: e.synced,
	}
}

func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

func (e *Engine) set(r engine.Record) {
	old, _ := e.content.Set(string(r.Key), r)
	e.bytes += contentBytes(r) - contentBytes(old)
}

func (e *Engine) delete(key string) {
	old, _ := e.content.Delete(key)
	e.bytes -= contentBytes(old)
}

func contentBytes(r engine.Record) int64 { return int64(len(r.Key) + len(r.Value)) }
