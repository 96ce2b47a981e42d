package bitcask

import (
	"fmt"
	"testing"

	"kvorum/node/vfs/vfstest"
)

// TestCrashEverywhere cuts the power before every call of a workload that changes anything on the disk, in every way that
// vfstest knows, and opens what is left.
func TestCrashEverywhere(t *testing.T) {
	t.Parallel()
	fs := vfstest.New()
	w := newWitness(fs)
	points, images, failed := 0, 0, false
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if !op.Changes() || failed {
			return vfstest.Fault{}
		}
		points++
		for name, loss := range vfstest.Losses(6) {
			image := fs.Crash(loss)
			if !w.isNew(image, w.promised(name)) {
				continue
			}
			images++
			if err := w.verify(image, w.promised(name)); err != nil {
				t.Errorf("crash %d before %s %s, lost: %s: %v", points, op.Call, op.Path, name, err)
				failed = true
			}
		}
		return vfstest.Fault{}
	})
	for _, step := range script(w) {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if points < 200 {
		t.Fatalf("only %d points: the workload does not do what it should", points)
	}
	t.Logf("%d points, %d images", points, images)
}

// TestCrashInRecovery cuts the power a second time, at every point of the recovery from the first.
func TestCrashInRecovery(t *testing.T) {
	t.Parallel()
	fs := vfstest.New()
	w := newWitness(fs)
	points, failed := 0, false
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if !op.Changes() || failed {
			return vfstest.Fault{}
		}
		for seed := range uint64(2) {
			image := fs.Crash(vfstest.Losses(2)[fmt.Sprintf("random %d", seed)])
			if !w.isNew(image, w.durable) {
				continue
			}
			n, err := w.crashRecovery(image)
			points += n
			if err != nil {
				t.Errorf("before %s %s, seed %d: %v", op.Call, op.Path, seed, err)
				failed = true
			}
		}
		return vfstest.Fault{}
	})
	for _, step := range script(w) {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d points", points)
}

func (w *witness) crashRecovery(image *vfstest.FS) (points int, err error) {
	image.SetHook(func(op vfstest.Op) vfstest.Fault {
		if !op.Changes() || err != nil {
			return vfstest.Fault{}
		}
		points++
		for _, name := range []string{"all", "content", "random 0", "random 1"} {
			again := image.Crash(vfstest.Losses(2)[name])
			if !w.isNew(again, w.durable) {
				continue
			}
			if err = w.verify(again, w.durable); err != nil {
				err = fmt.Errorf("second crash %d before %s %s, lost: %s: %w", points, op.Call, op.Path, name, err)
				break
			}
		}
		return vfstest.Fault{}
	})
	e, openErr := Open(testDir, testOptions(image))
	image.SetHook(nil)
	if openErr != nil {
		return points, openErr
	}
	if closeErr := e.Close(); err == nil {
		err = closeErr
	}
	return points, err
}
