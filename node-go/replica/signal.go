package replica

import "sync"

// Signal tells any number of watchers that something changed. It never blocks and keeps nothing for a slow watcher:
// changes coalesce.
type Signal struct {
	mu   sync.Mutex
	next chan struct{}
}

// NewSignal is ready for use.
func NewSignal() *Signal { return &Signal{next: make(chan struct{})} }

// Next closes at the next change. Take it before reading what may change.
func (s *Signal) Next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// Raise wakes every watcher.
func (s *Signal) Raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.next)
	s.next = make(chan struct{})
}
