package server

import (
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestWorkersAreAsManyAsAreNeededAndEnd(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var mu sync.Mutex
	done, begun, hold := 0, make(chan struct{}, 8), make(chan struct{})
	w := newWorkers(3, func(job) {
		begun <- struct{}{}
		<-hold
		mu.Lock()
		defer mu.Unlock()
		done++
	})
	for range 3 {
		w.hand(job{})
		<-begun
	}
	if w.running != 3 {
		t.Fatalf("%d workers for 3 messages at once", w.running)
	}
	close(hold)
	for range 5 {
		w.hand(job{})
	}
	w.finish()
	if done != 8 || w.running != 3 {
		t.Fatalf("%d done by %d workers", done, w.running)
	}
}
