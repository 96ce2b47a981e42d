package server

import (
	"sync"

	"kvorum/node/replica"
)

// job is a message that is to be worked on.
type job struct {
	request *frame
	hold    *replica.Hold
}

// workers are the goroutines of one lane. They stay for its next messages: a goroutine for every message spent much of its
// time on growing its stack. Not safe for concurrent use: a lane has one receiver.
type workers struct {
	serve   func(job)
	jobs    chan job
	most    int
	running int
	group   sync.WaitGroup
}

func newWorkers(most int, serve func(job)) *workers {
	return &workers{serve: serve, jobs: make(chan job), most: most}
}

// hand gives a message to a worker who has nothing to do, or to a new one.
func (w *workers) hand(j job) {
	if w.running == w.most {
		w.jobs <- j
		return
	}
	select {
	case w.jobs <- j:
	default:
		w.running++
		w.group.Go(func() { w.work(j) })
	}
}

func (w *workers) work(first job) {
	w.serve(first)
	for j := range w.jobs {
		w.serve(j)
	}
}

// finish returns when everything that was handed over is done. Nothing may be handed over any more.
func (w *workers) finish() {
	close(w.jobs)
	w.group.Wait()
}
