package bitcask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/enginetest"
	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

// damageable is a directory with merged and plain sealed segments, with and without hints, a head that is fsynced in part,
// and log segments that continue it.
func damageable(t *testing.T) *witness {
	t.Helper()
	w := newWitness(vfstest.New())
	steps := []func() error{
		w.open, func() error { return w.apply(30) }, w.merge, func() error { return w.apply(30) }, w.sync, w.hints,
		func() error { return w.apply(20) }, w.sync, func() error { return w.apply(20) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	w.manifest = *w.engine.manifest
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestEveryByteCut cuts every file that matters at every byte.
func TestEveryByteCut(t *testing.T) {
	t.Parallel()
	w := damageable(t)
	w.eachFile(t, func(path string, content []byte) {
		for at := 0; at < len(content); at += w.stride(path, at) {
			w.damage(t, path, content[:at], fmt.Sprintf("cut at %d", at))
		}
	})
}

// TestEveryByteFlipped flips a bit of every byte.
func TestEveryByteFlipped(t *testing.T) {
	t.Parallel()
	w := damageable(t)
	w.eachFile(t, func(path string, content []byte) {
		for at := 0; at < len(content); at += w.stride(path, at) {
			flipped := bytes.Clone(content)
			flipped[at] ^= 1 << (at % 8)
			w.damage(t, path, flipped, fmt.Sprintf("flipped at %d", at))
		}
	})
}

// TestHoles zeroes blocks, as a power cut does that has written later pages first.
func TestHoles(t *testing.T) {
	t.Parallel()
	w := damageable(t)
	w.eachFile(t, func(path string, content []byte) {
		for at := 0; at < len(content); at += 64 {
			hole := bytes.Clone(content)
			clear(hole[at:min(at+512, len(hole))])
			w.damage(t, path, hole, fmt.Sprintf("hole at %d", at))
		}
	})
}

// TestFilesMissing takes each file away.
func TestFilesMissing(t *testing.T) {
	w := damageable(t)
	reported := 0
	w.eachFile(t, func(path string, content []byte) {
		image := w.image()
		if err := image.Remove(path); err != nil {
			t.Fatal(err)
		}
		if w.examine(t, image, path+" missing") {
			reported++
		}
	})
	if reported < 4 {
		t.Errorf("only %d missing files were reported", reported)
	}
}

// stride is 1 for all that was not promised, for manifest and hints, and for the beginning of a segment; the later bytes of
// what was promised are many, and all alike.
func (w *witness) stride(path string, at int) int {
	promised := path == segmentPath(testDir, w.manifest.headID) && at < int(w.manifest.headEnd)
	for _, sealed := range w.manifest.sealed {
		promised = promised || path == segmentPath(testDir, sealed.id)
	}
	if promised && at > 256 {
		return 13
	}
	return 1
}

func (w *witness) image() *vfstest.FS {
	return w.fs.Crash(vfstest.Losses(0)["nothing"])
}

func (w *witness) eachFile(t *testing.T, fn func(path string, content []byte)) {
	t.Helper()
	names, err := w.fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(testDir, name)
		content, err := vfs.ReadFile(w.fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		fn(path, content)
	}
}

func (w *witness) damage(t *testing.T, path string, content []byte, how string) {
	t.Helper()
	image := w.image()
	if err := vfs.WriteFile(image, path, content); err != nil {
		t.Fatal(err)
	}
	w.examine(t, image, path+" "+how)
}

// examine opens damaged data. Either it says so and has changed nothing, or everything promised is there, or else reading
// says so, and the next open too. Never is there a wrong value. It returns whether the damage was reported.
func (w *witness) examine(t *testing.T, image *vfstest.FS, how string) bool {
	t.Helper()
	var changes []vfstest.Op
	image.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Changes() && op.Call != "mkdir" && op.Path != filepath.Dir(testDir) {
			changes = append(changes, op)
		}
		return vfstest.Fault{}
	})
	e, err := Open(testDir, testOptions(image))
	image.SetHook(nil)
	var corrupt *engine.CorruptError
	if errors.As(err, &corrupt) {
		if len(changes) > 0 {
			t.Fatalf("%s: reported, but the files were changed: %v", how, changes)
		}
		return true
	}
	if err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	want := w.states[e.Applied()]
	if want == nil || e.Applied() < w.durable {
		t.Fatalf("%s: opened at %d without an error, %d was promised", how, e.Applied(), w.durable)
	}
	reported := readAll(t, e, want, how)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testDir, testOptions(image)); errors.As(err, &corrupt) != reported {
		t.Fatalf("%s: damage reported %t, opened again: %v", how, reported, err)
	}
	return reported
}

// readAll allows for *CorruptError, and for nothing else that is not right.
func readAll(t *testing.T, e *Engine, want enginetest.Content, how string) (reported bool) {
	t.Helper()
	var corrupt *engine.CorruptError
	for i := range 23 {
		key := fmt.Sprintf("key-%02d", i)
		got, found, err := e.Get([]byte(key))
		if errors.As(err, &corrupt) {
			reported = true
			continue
		}
		record, expected := want[key]
		if err != nil || found != expected || found && !enginetest.Equal(got, record) {
			t.Fatalf("%s: Get(%s) = %v, %t, %v; should be %v, %t", how, key, got, found, err, record, expected)
		}
	}
	v, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.WriteTo(io.Discard); (err != nil) != reported || err != nil && !errors.As(err, &corrupt) {
		t.Fatalf("%s: stream: %v", how, err)
	}
	return reported
}

func TestDamageWhileServing(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	var told []*engine.CorruptError
	w.engine.options.OnDamage = func(found *engine.CorruptError) { told = append(told, found) }
	if err := w.apply(5); err != nil {
		t.Fatal(err)
	}
	path := w.engine.head.path
	content, err := vfs.ReadFile(fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	record := w.anyRecord(5)
	content[bytes.Index(content, record.Value)] ^= 1
	if err := vfs.WriteFile(fs, path, content); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var corrupt *engine.CorruptError
		if _, _, err := w.engine.Get(record.Key); !errors.As(err, &corrupt) || corrupt.Path != path {
			t.Fatal(err)
		}
	}
	if len(told) != 1 {
		t.Fatalf("OnDamage was called %d times", len(told))
	}
	if _, found, err := w.engine.Get([]byte("absent")); found || err != nil {
		t.Fatal("other keys are not served any more:", err)
	}
	if err := w.engine.Close(); err != nil {
		t.Fatal(err)
	}
	var corrupt *engine.CorruptError
	if _, err := Open(testDir, testOptions(fs)); !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "found earlier") {
		t.Fatal(err)
	}
}

// TestDamageOfThePast: a view reads bad bytes in a file that the engine does not need any more.
func TestDamageOfThePast(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(30), w.view())
	path := w.engine.version.segments[0].path
	content := readFile(t, fs, path)
	must(t, w.merge(), vfs.WriteFile(fs, path, content[:100]))
	var corrupt *engine.CorruptError
	if _, err := w.views[0].WriteTo(io.Discard); !errors.As(err, &corrupt) {
		t.Fatal(err)
	}
	must(t, w.reopen(), w.states[30].Check(w.engine), w.close())
}
