package powercut_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvorum/node/vfs"
	"kvorum/node/vfs/powercut"
)

const (
	sector = 512
	seeds  = 40
)

// world is a directory on a disk whose power can be cut.
type world struct {
	*testing.T
	*powercut.FS
	dir string
}

func (w *world) at(name string) string { return filepath.Join(w.dir, name) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// durable writes a file so that nothing can be lost of it.
func (w *world) durable(name string, data []byte) {
	w.Helper()
	w.must(vfs.WriteFile(w.FS, w.at(name), data))
}

// after is what the disk holds: names and contents, as text.
func (w *world) after() string {
	w.Helper()
	var all []string
	names, err := vfs.OS().List(w.dir)
	w.must(err)
	for _, name := range names {
		if info, err := vfs.OS().Stat(w.at(name)); err == nil && info.IsDir {
			below, err := vfs.OS().List(w.at(name))
			w.must(err)
			all = append(all, name+"/"+strings.Join(below, ","))
			continue
		}
		data, err := vfs.ReadFile(vfs.OS(), w.at(name), 1<<20)
		w.must(err)
		all = append(all, fmt.Sprintf("%s=%s", name, data))
	}
	return strings.Join(all, " ")
}

// outcomes runs the same work again and again, cuts the power after it, and gives all that the disk then held.
func outcomes(t *testing.T, work func(w *world), look func(w *world) string) []string {
	t.Helper()
	seen := map[string]bool{}
	for seed := range uint64(seeds) {
		w := &world{T: t, FS: powercut.New(vfs.OS(), filepath.Join(t.TempDir(), "attic")), dir: t.TempDir()}
		work(w)
		w.must(w.Cut(seed))
		seen[look(w)] = true
	}
	var all []string
	for one := range seen {
		all = append(all, one)
	}
	slices.Sort(all)
	return all
}

func mustBe(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the disk held\n%q, must be\n%q", got, want)
	}
}

// What was fsynced stays, whatever is lost around it.
func TestWhatWasSyncedStays(t *testing.T) {
	mustBe(t, outcomes(t, func(w *world) { w.durable("a", []byte("all of it")) }, (*world).after), "a=all of it")
}

func TestEachSectorByItself(t *testing.T) {
	work := func(w *world) {
		w.durable("a", bytes.Repeat([]byte("o"), 2*sector))
		file, err := w.OpenRandom(w.at("a"))
		w.must(err)
		defer file.Close()
		_, err = file.WriteAt(bytes.Repeat([]byte("n"), 2*sector), 0)
		w.must(err)
	}
	look := func(w *world) string {
		all := w.after()
		for _, half := range []string{all[2 : 2+sector], all[2+sector:]} {
			if strings.Trim(half, "o") != "" && strings.Trim(half, "n") != "" {
				t.Errorf("a torn sector: %q", half)
			}
		}
		return all[2:3] + all[2+sector:3+sector]
	}
	mustBe(t, outcomes(t, work, look), "oo", "on", "no", "nn")
}

// What was appended may be there, be zeros, or be missing; what stands before it is as it was.
func TestAppends(t *testing.T) {
	work := func(w *world) {
		w.durable("a", []byte("kept"))
		file, err := w.OpenAppend(w.at("a"))
		w.must(err)
		defer file.Close()
		_, err = file.Write([]byte("+1"))
		w.must(err)
	}
	got := outcomes(t, work, (*world).after)
	for _, must := range []string{"a=kept", "a=kept+1", "a=kept\x00\x00"} {
		if !slices.Contains(got, must) {
			t.Errorf("never %q", must)
		}
	}
	for _, one := range got {
		if !strings.HasPrefix(one, "a=kept") || len(one) > len("a=kept+1") {
			t.Errorf("%q", one)
		}
	}
}

func TestTruncations(t *testing.T) {
	work := func(w *world) {
		w.durable("a", []byte("a longer one"))
		file, err := w.OpenAppend(w.at("a"))
		w.must(err)
		defer file.Close()
		w.must(file.Truncate(1))
	}
	mustBe(t, outcomes(t, work, (*world).after), "a=a", "a=a longer one")
	work = func(w *world) {
		w.durable("a", []byte("old"))
		file, err := w.Create(w.at("a"))
		w.must(err)
		w.must(file.Close())
	}
	mustBe(t, outcomes(t, work, (*world).after), "a=", "a=old")
}

func TestNames(t *testing.T) {
	work := func(w *world) {
		w.durable("a", []byte("old"))
		w.durable("b", []byte("b"))
		file, err := w.Create(w.at("a.tmp"))
		w.must(err)
		_, err = file.Write([]byte("new"))
		w.must(err)
		w.must(errors.Join(file.Sync(), file.Close(), w.Rename(w.at("a.tmp"), w.at("a")), w.Remove(w.at("b"))))
	}
	// As a journal has them: none without those before it.
	mustBe(t, outcomes(t, work, (*world).after), "a=old b=b", "a=old a.tmp=new b=b", "a=new b=b", "a=new")
}

func TestDirectoriesThatAreRemoved(t *testing.T) {
	work := func(w *world) {
		w.must(w.MkdirAll(w.at("d")))
		w.durable("d/1", []byte("1"))
		w.must(w.RemoveAll(w.at("d")))
		w.must(w.MkdirAll(w.at("d")))
		file, err := w.Create(w.at("d/2"))
		w.must(err)
		w.must(file.Close())
	}
	mustBe(t, outcomes(t, work, (*world).after), "d/1", "d/", "d/2")
}

// A directory that gets its name at last takes its files along.
func TestDirectoriesThatAreRenamed(t *testing.T) {
	work := func(w *world) {
		w.must(w.MkdirAll(w.at("d.tmp")))
		w.durable("d.tmp/1", []byte("1"))
		w.must(w.Rename(w.at("d.tmp"), w.at("d")))
	}
	mustBe(t, outcomes(t, work, (*world).after), "d/1", "d.tmp/1")
}

// An attic that grew for ever would fill the disk.
func TestTheAtticIsEmptied(t *testing.T) {
	attic := filepath.Join(t.TempDir(), "attic")
	fsys := powercut.New(vfs.OS(), attic)
	w := &world{T: t, FS: fsys, dir: t.TempDir()}
	for range 3 {
		w.durable("a", []byte("x"))
	}
	w.must(w.Remove(w.at("a")))
	w.must(w.MkdirAll(w.at("d")))
	w.must(errors.Join(w.RemoveAll(w.at("d")), w.SyncDir(w.dir)))
	if left, err := vfs.OS().List(attic); err != nil || len(left) > 0 {
		t.Errorf("%q, %v", left, err)
	}
	if _, err := fsys.Stat(w.at("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// Nobody is told after a power cut that something is durable.
func TestNothingReturnsAfterACut(t *testing.T) {
	fsys := powercut.New(vfs.OS(), filepath.Join(t.TempDir(), "attic"))
	w := &world{T: t, FS: fsys, dir: t.TempDir()}
	w.durable("a", []byte("x"))
	file, err := w.OpenAppend(w.at("a"))
	w.must(err)
	defer file.Close()
	w.must(w.Cut(1))
	returned := make(chan string, 3)
	// They wait for ever, as is promised: nothing ends them but the end of the process.
	go func() { _, _ = file.Write([]byte("y")); returned <- "a write" }()
	go func() { _ = file.Sync(); returned <- "an fsync" }()
	go func() { _ = w.SyncDir(w.dir); returned <- "an fsync of the directory" }()
	if data, err := vfs.ReadFile(w.FS, w.at("a"), 10); err != nil || string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
	select {
	case what := <-returned:
		t.Errorf("%s returned", what)
	default:
	}
}
