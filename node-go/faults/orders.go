// Package faults breaks a node's own disk and clock, as it is told by a file beside its data directory. It is in no product:
// only cmd/kvnode built with the tag `faults` has it (README: test/chaos).
//
//	<data>.faults.json   the orders, replaced in one step by whoever gives them; absent: nothing is wrong
//	<data>.faults.seen   the number of the orders that hold, and the process in which they do
//
// A file, because a fault outlives the process: a disk that is full is still full when the node is started again.
package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"kvorum/node/clock"
	"kvorum/node/vfs"
)

// Orders are all that is wrong from now on; what they do not name is well again.
type Orders struct {
	// Number of these orders, for the answer.
	Number uint64 `json:"number"`
	Disk   Broken `json:"disk"`
	// ClockSeconds is how far the wall clock is off. The monotonic one goes on as ever.
	ClockSeconds int64 `json:"clockSeconds"`
	// PowerCut, if it is for this process, ends it as a power cut does.
	PowerCut *PowerCut `json:"powerCut"`
}

// Broken is what is wrong with the disk.
type Broken struct {
	// SyncFails: fsync says EIO.
	SyncFails bool `json:"syncFails"`
	// SyncStallsMs is how long each fsync hangs, at most until other orders come.
	SyncStallsMs int64 `json:"syncStallsMs"`
	// SyncLies: fsync says that all is well and does nothing. No replicated store keeps its word on such disks if a power
	// cut meets enough of them: it shows that a checker sees losses.
	SyncLies bool `json:"syncLies"`
	// Full: nothing can be made or appended.
	Full bool `json:"full"`
}

// PowerCut names its process, so that the next one does not take it for its own.
type PowerCut struct {
	PID  int    `json:"pid"`
	Seed uint64 `json:"seed"`
}

// Options of Open; all are required.
type Options struct {
	// Data is the node's data directory.
	Data string
	// Files are used as they are: orders come through whatever is wrong.
	Files vfs.FS
	Clock clock.Clock
	PID   int
	// CutPower is called once, on the goroutine that follows the orders. It does not return.
	CutPower func(seed uint64)
}

const (
	// lookEvery is how often the orders are looked at.
	lookEvery     = 5 * time.Millisecond
	ordersMaxSize = 64 << 10
)

// Watch follows the orders until Close.
type Watch struct {
	options Options
	stop    chan struct{}
	done    chan struct{}

	mu      sync.Mutex
	orders  Orders
	changed chan struct{}
}

// Open has read the orders when it returns.
func Open(o Options) (*Watch, error) {
	w := &Watch{options: o, stop: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{})}
	if err := w.look(); err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

// Close ends the following; what was ordered last goes on to hold.
func (w *Watch) Close() {
	close(w.stop)
	<-w.done
}

// now is what holds, and what closes when that may be something else.
func (w *Watch) now() (Orders, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.orders, w.changed
}

func (w *Watch) run() {
	defer close(w.done)
	timer := w.options.Clock.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C():
		case <-w.stop:
			return
		}
		// The next look will be at whole orders: they are replaced in one step.
		_ = w.look()
		timer.Reset(lookEvery)
	}
}

func (w *Watch) look() error {
	var orders Orders
	data, err := vfs.ReadFile(w.options.Files, w.options.Data+".faults.json", ordersMaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &orders)
	}
	if err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	if had, _ := w.now(); had.Number == orders.Number {
		return nil
	}
	if cut := orders.PowerCut; cut != nil && cut.PID == w.options.PID {
		w.options.CutPower(cut.Seed)
	}
	w.take(orders)
	return w.answer(orders.Number)
}

func (w *Watch) take(orders Orders) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = orders
	close(w.changed)
	w.changed = make(chan struct{})
}

// answer needs no fsync: it is for somebody who looks now.
func (w *Watch) answer(number uint64) error {
	path := w.options.Data + ".faults.seen"
	file, err := w.options.Files.Create(path + vfs.TempSuffix)
	if err != nil {
		return fmt.Errorf("answer the orders: %w", err)
	}
	_, err = fmt.Fprintf(file, "%d %d\n", number, w.options.PID)
	if err := errors.Join(err, file.Close(), w.options.Files.Rename(path+vfs.TempSuffix, path)); err != nil {
		return fmt.Errorf("answer the orders: %w", err)
	}
	return nil
}
