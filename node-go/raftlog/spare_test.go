package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kvorum/node/vfs"
)

// fill stores entries from `first` on until a spare has been begun, and waits until it is made. It returns the last index.
func fillToSpare(t *testing.T, l *Log, first uint64) uint64 {
	t.Helper()
	for i := first; ; i++ {
		mustStore(t, l, entries(i, i, 1))
		l.spares.mu.Lock()
		begun := l.spares.state != spareNone
		l.spares.mu.Unlock()
		if begun {
			l.spares.making.Wait()
			return i
		}
	}
}

func spareOf(l *Log) spareState {
	l.spares.mu.Lock()
	defer l.spares.mu.Unlock()
	return l.spares.state
}

func segmentsIn(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestTheNextSegmentIsTheSpare(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	last := fillToSpare(t, l, 1)
	path := filepath.Join(h.dir, spareName)
	content, err := os.ReadFile(path)
	if err != nil || len(content) != h.options.SegmentBytes || slices.Max(content) != 0 {
		t.Fatalf("a spare of %d bytes: %v", len(content), err)
	}
	spare, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	before := segmentsIn(t, h.dir)
	for len(segmentsIn(t, h.dir)) == len(before) {
		last++
		mustStore(t, l, entries(last, last, 1))
	}
	used, err := os.Stat(segmentsIn(t, h.dir)[len(before)])
	if err != nil || !os.SameFile(spare, used) {
		t.Fatalf("the new segment is another file: %v", err)
	}
	last = fillToSpare(t, l, last+1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustHold(t, h.open(), 1, last, 1)
}

func TestASpareThatWasLeftIsRemoved(t *testing.T) {
	h := newHarness(t)
	path := filepath.Join(h.dir, spareName)
	if err := os.WriteFile(path, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.open()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// noSpares is a disk on which spares cannot be made, or not be renamed.
type noSpares struct {
	vfs.FS
	create, rename error
}

func (f *noSpares) Create(path string) (vfs.File, error) {
	if f.create != nil && filepath.Base(path) == spareName {
		return nil, f.create
	}
	return f.FS.Create(path)
}

func (f *noSpares) Rename(from, to string) error {
	if f.rename != nil && filepath.Base(from) == spareName {
		return f.rename
	}
	return f.FS.Rename(from, to)
}

func TestWithoutASpareTheLogGoesOn(t *testing.T) {
	full := errors.New("no room")
	for name, disk := range map[string]*noSpares{
		"not made": {FS: vfs.OS(), create: full}, "not renamed": {FS: vfs.OS(), rename: full},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.options.FS = disk
			l := h.open()
			last := uint64(0)
			for len(segmentsIn(t, h.dir)) < 4 {
				last++
				mustStore(t, l, entries(last, last, 1))
			}
			l.spares.making.Wait()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if failures := h.reported(); len(failures) > 0 {
				t.Fatal(failures)
			}
			mustHold(t, h.open(), 1, last, 1)
		})
	}
}

// gatedSpares is a disk that tells of each write to the spare, and waits.
type gatedSpares struct {
	vfs.FS
	writing chan struct{}
}

type gatedFile struct {
	vfs.File
	writing chan struct{}
}

func (f *gatedSpares) Create(path string) (vfs.File, error) {
	file, err := f.FS.Create(path)
	if err == nil && filepath.Base(path) == spareName {
		return &gatedFile{File: file, writing: f.writing}, nil
	}
	return file, err
}

func (f *gatedFile) Write(p []byte) (int, error) {
	f.writing <- struct{}{}
	return f.File.Write(p)
}

func TestCloseDoesNotWaitForAWholeSpare(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 4 * spareChunkBytes
	disk := &gatedSpares{FS: vfs.OS(), writing: make(chan struct{})}
	h.options.FS = disk
	l := h.open()
	for i := uint64(1); spareOf(l) == spareNone; i += 1000 {
		mustStore(t, l, entries(i, i+999, 1))
	}
	<-disk.writing // the first chunk
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	for !l.spares.isClosed() {
		select {
		case err := <-closed:
			t.Fatalf("closed while a chunk is written: %v", err)
		case <-disk.writing: // the next one, begun before
		default:
		}
	}
	select {
	case err := <-closed:
		if err != nil {
			t.Fatal(err)
		}
	case <-disk.writing:
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(h.dir, spareName)); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a half-made spare is left:", err)
	}
}
