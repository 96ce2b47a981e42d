package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kvorum/node/clock"
	"kvorum/node/clock/clocktest"
	"kvorum/node/vfs"
	"kvorum/node/vfs/powercut"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const pid = 4711

// scene is a node's disk and clock, and whoever breaks them.
type scene struct {
	*testing.T
	clock *clocktest.Manual
	watch *Watch
	power *powercut.FS
	disk  vfs.FS
	data  string
	last  uint64
	cuts  chan uint64
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{T: t, clock: clocktest.New(), data: filepath.Join(t.TempDir(), "node-1"), cuts: make(chan uint64, 1)}
	s.must(vfs.OS().MkdirAll(s.data))
	s.power = powercut.New(vfs.OS(), filepath.Join(t.TempDir(), "attic"))
	var err error
	s.watch, err = Open(s.options())
	s.must(err)
	t.Cleanup(s.watch.Close)
	s.disk = s.watch.Disk(s.power)
	return s
}

func (s *scene) options() Options {
	return Options{Data: s.data, Files: vfs.OS(), Clock: s.clock, PID: pid, CutPower: func(seed uint64) { s.cuts <- seed }}
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// order returns when the orders hold. `timers` run besides the watch's own.
func (s *scene) order(o Orders, timers int) {
	s.Helper()
	s.write(o)
	s.clock.AwaitTimers(1 + timers)
	s.clock.Advance(lookEvery)
	s.seen(pid)
}

func (s *scene) write(o Orders) {
	s.Helper()
	s.last++
	o.Number = s.last
	data, err := json.Marshal(o)
	s.must(err)
	s.must(vfs.WriteFile(vfs.OS(), s.data+".faults.json", data))
}

// seen waits for the answer.
func (s *scene) seen(by int) {
	s.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20_000 {
		said, err := vfs.ReadFile(vfs.OS(), s.data+".faults.seen", 100)
		if err == nil && string(said) == fmt.Sprintf("%d %d\n", s.last, by) {
			return
		}
		<-tick.C
	}
	s.Fatal("the orders were not answered")
}

func (s *scene) at(name string) string { return filepath.Join(s.data, name) }

func TestAFullDisk(t *testing.T) {
	s := newScene(t)
	s.must(vfs.WriteFile(s.disk, s.at("a"), []byte("x")))
	open, err := s.disk.OpenAppend(s.at("a"))
	s.must(err)
	defer open.Close()
	inPlace, err := s.disk.Allocate(s.at("b"), 100)
	s.must(err)
	defer inPlace.Close()
	s.order(Orders{Disk: Broken{Full: true}}, 0)
	_, created := s.disk.Create(s.at("c"))
	_, allocated := s.disk.Allocate(s.at("c"), 1)
	_, written := open.Write([]byte("y"))
	for i, err := range []error{created, allocated, written, s.disk.MkdirAll(s.at("d"))} {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	_, err = inPlace.WriteAt([]byte("fits"), 0)
	s.must(errors.Join(err, inPlace.Sync(), s.disk.MkdirAll(s.data)))
	s.order(Orders{}, 0)
	s.must(vfs.WriteFile(s.disk, s.at("c"), []byte("room")))
}

func TestFsyncsThatFail(t *testing.T) {
	s := newScene(t)
	file, err := s.disk.Create(s.at("a"))
	s.must(err)
	defer file.Close()
	inPlace, err := s.disk.Allocate(s.at("b"), 100)
	s.must(err)
	defer inPlace.Close()
	s.order(Orders{Disk: Broken{SyncFails: true}}, 0)
	for i, err := range []error{file.Sync(), file.WriteBack(), inPlace.Sync(), s.disk.SyncDir(s.data)} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	s.order(Orders{}, 0)
	s.must(errors.Join(file.Sync(), inPlace.Sync()))
}

// A stall ends by itself, or with the orders.
func TestFsyncsThatHang(t *testing.T) {
	s := newScene(t)
	s.order(Orders{Disk: Broken{SyncStallsMs: 5_000}}, 0)
	for _, end := range []func(){
		func() { s.clock.Advance(5 * time.Second) },
		func() { s.order(Orders{}, 1) },
	} {
		returned := make(chan error, 1)
		go func() { returned <- s.disk.SyncDir(s.data) }()
		s.clock.AwaitTimers(2)
		select {
		case err := <-returned:
			t.Fatalf("it returned: %v", err)
		default:
		}
		end()
		s.must(<-returned)
	}
}

// Nothing is lost with an honest disk, and everything may be with one that lies.
func TestALie(t *testing.T) {
	for _, lies := range []bool{false, true} {
		lost := 0
		for seed := range uint64(10) {
			s := newScene(t)
			s.order(Orders{Disk: Broken{SyncLies: lies}}, 0)
			s.must(vfs.WriteFile(s.disk, s.at("a"), []byte("acknowledged")))
			s.must(s.power.Cut(seed))
			if data, err := vfs.ReadFile(vfs.OS(), s.at("a"), 100); err != nil || string(data) != "acknowledged" {
				lost++
			}
		}
		if lies != (lost > 0) {
			t.Errorf("lies: %v; lost %d times", lies, lost)
		}
	}
}

func TestAPowerCutIsForOneProcess(t *testing.T) {
	s := newScene(t)
	s.order(Orders{PowerCut: &PowerCut{PID: pid + 1, Seed: 1}}, 0)
	select {
	case <-s.cuts:
		t.Error("it was another's")
	default:
	}
	s.order(Orders{PowerCut: &PowerCut{PID: pid, Seed: 7}}, 0)
	if seed := <-s.cuts; seed != 7 {
		t.Error(seed)
	}
}

// What was ordered before the start holds from the start.
func TestOrdersOutliveTheProcess(t *testing.T) {
	s := newScene(t)
	s.order(Orders{Disk: Broken{Full: true}}, 0)
	o := s.options()
	o.PID++
	next, err := Open(o)
	s.must(err)
	defer next.Close()
	s.seen(o.PID)
	if _, err := next.Disk(vfs.OS()).Create(s.at("c")); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}

func TestOrdersThatCannotBeRead(t *testing.T) {
	s := newScene(t)
	s.must(vfs.WriteFile(vfs.OS(), s.data+".faults.json", []byte("{")))
	if _, err := Open(s.options()); err == nil {
		t.Error("a node began that does not do what it is told")
	}
}

func TestTheWallClockJumps(t *testing.T) {
	s := newScene(t)
	real := clock.Real()
	broken := s.watch.Wall(real)
	before := broken.Now()
	for _, offset := range []time.Duration{5 * time.Hour, -5 * time.Hour, 0} {
		s.order(Orders{ClockSeconds: int64(offset / time.Second)}, 0)
		now := broken.Now()
		if off := now.Round(0).Sub(real.Now().Round(0)); off < offset-time.Minute || off > offset+time.Minute {
			t.Errorf("the wall clock is off by %s, must be by %s", off, offset)
		}
		// A minute is more than this test takes.
		for what, d := range map[string]time.Duration{"Sub": now.Sub(before), "Since": broken.Since(before)} {
			if d < 0 || d > time.Minute {
				t.Errorf("%s: %s", what, d)
			}
		}
	}
	asleep := broken.Now()
	s.order(Orders{ClockSeconds: 3600}, 0)
	if passed := clock.Elapsed(asleep, broken.Now()); passed < time.Hour-time.Minute {
		t.Errorf("a machine slept for an hour by its wall clock, and %s has passed", passed)
	}
	s.order(Orders{ClockSeconds: -3600}, 0)
	if passed := clock.Elapsed(asleep, broken.Now()); passed < 0 || passed > time.Minute {
		t.Errorf("the wall clock was set back, and %s has passed", passed)
	}
	if later := jumped(time.Unix(100, 0), 50); !later.Equal(time.Unix(150, 0)) {
		t.Error(later)
	}
}
