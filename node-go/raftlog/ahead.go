package raftlog

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// ahead are the entries that a leader has already sent to its followers while its own disk still writes them (Raft thesis,
// section 10.2.1). They are a run that ends the log. Whoever writes them is one goroutine, which takes all that wait in one
// fsync.
type ahead struct {
	// store makes entries durable.
	store func([]*raft.Log) error

	mu      sync.Mutex
	changed *sync.Cond
	// entries[0] is the first that is not durable. They are never changed, only dropped.
	entries []*raft.Log
	failed  error
	closed  bool
	// first is the index of entries[0], 0 if there is none: the question that every message and every applied entry asks.
	first atomic.Uint64
	// ended closes when run has returned.
	ended chan struct{}
}

func newAhead(store func([]*raft.Log) error) *ahead {
	a := &ahead{store: store, ended: make(chan struct{})}
	a.changed = sync.NewCond(&a.mu)
	return a
}

// run writes until close, or until a write fails.
func (a *ahead) run() {
	defer close(a.ended)
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		for len(a.entries) == 0 && !a.closed {
			a.changed.Wait()
		}
		if len(a.entries) == 0 {
			return
		}
		a.mu.Unlock()
		// The fsync keeps this process's processor: let the messages to the followers out first.
		runtime.Gosched()
		a.mu.Lock()
		if a.failed = a.write(a.entries); a.failed != nil {
			a.changed.Broadcast()
			return
		}
	}
}

// write is called with the lock, and gives it up meanwhile.
func (a *ahead) write(entries []*raft.Log) error {
	a.mu.Unlock()
	err := a.store(entries)
	a.mu.Lock()
	if err != nil {
		return err
	}
	a.entries = a.entries[len(entries):]
	if len(a.entries) == 0 {
		a.entries = nil
		a.first.Store(0)
	} else {
		a.first.Store(a.entries[0].Index)
	}
	a.changed.Broadcast()
	return nil
}

func (a *ahead) add(entries []*raft.Log) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.failed != nil:
		return a.failed
	case a.closed:
		return wal.ErrClosed
	case len(a.entries) == 0:
		a.first.Store(entries[0].Index)
	}
	a.entries = append(a.entries, entries...)
	a.changed.Broadcast()
	return nil
}

// durable is index, or the last entry before it that is durable.
func (a *ahead) durable(index uint64) uint64 {
	if first := a.first.Load(); first != 0 && index >= first {
		return first - 1
	}
	return index
}

// await returns nil when the entry with that index is durable, or was never here.
func (a *ahead) await(index uint64) error {
	if a.durable(index) == index {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.failed == nil && a.durable(index) != index {
		a.changed.Wait()
	}
	if a.durable(index) == index {
		return nil
	}
	return a.failed
}

// settle waits for what is here now.
func (a *ahead) settle() error { return a.await(a.last()) }

// last is 0 if there is none.
func (a *ahead) last() uint64 {
	if a.first.Load() == 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.entries); n > 0 {
		return a.entries[n-1].Index
	}
	return 0
}

func (a *ahead) get(index uint64, into *raft.Log) bool {
	if a.durable(index) == index {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) == 0 || index < a.entries[0].Index || index-a.entries[0].Index >= uint64(len(a.entries)) {
		return false
	}
	*into = *a.entries[index-a.entries[0].Index]
	return true
}

// close waits for what is here, unless writing fails.
func (a *ahead) close() {
	a.mu.Lock()
	a.closed = true
	a.changed.Broadcast()
	a.mu.Unlock()
	<-a.ended
}
