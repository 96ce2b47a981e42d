package powercut

import (
	"io"

	"kvorum/node/vfs"
)

// handle is what both kinds of open files do alike.
type handle struct {
	fs      *FS
	content *content
}

// change runs a change of [from, to); from < 0 means: at the end.
func (h handle) change(reader io.ReaderAt, from, bytes int64, write func() (int, error)) (int, error) {
	h.fs.still.RLock()
	defer h.fs.still.RUnlock()
	h.content.mu.Lock()
	defer h.content.mu.Unlock()
	if from < 0 {
		from = h.content.size
	}
	if err := h.content.before(reader, from, from+bytes); err != nil {
		return 0, err
	}
	n, err := write()
	h.content.size = max(h.content.size, from+int64(n))
	return n, err
}

// sync lets writes go on meanwhile: they are not covered. A power cut waits for it, so that nobody is told that what is lost
// is there.
func (h handle) sync(base func() error) error {
	h.fs.still.RLock()
	defer h.fs.still.RUnlock()
	old, durable := h.content.syncing()
	err := base()
	if err != nil {
		h.content.notSynced(old, durable)
	}
	return err
}

type file struct {
	vfs.File
	handle
}

func (f *file) Write(data []byte) (int, error) {
	return f.change(f.File, -1, int64(len(data)), func() (int, error) { return f.File.Write(data) })
}

func (f *file) Sync() error { return f.sync(f.File.Sync) }

func (f *file) Truncate(size int64) error {
	f.fs.still.RLock()
	defer f.fs.still.RUnlock()
	f.content.mu.Lock()
	defer f.content.mu.Unlock()
	if err := f.content.before(f.File, size, f.content.durable); err != nil {
		return err
	}
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	f.content.size = size
	return nil
}

type randomFile struct {
	vfs.RandomFile
	handle
}

func (f *randomFile) WriteAt(data []byte, offset int64) (int, error) {
	return f.change(f.RandomFile, offset, int64(len(data)), func() (int, error) { return f.RandomFile.WriteAt(data, offset) })
}

func (f *randomFile) Sync() error { return f.sync(f.RandomFile.Sync) }
