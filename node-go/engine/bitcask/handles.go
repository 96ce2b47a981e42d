package bitcask

import (
	"container/list"
	"errors"
	"sync"

	"kvorum/node/vfs"
)

// handles keeps a bounded number of segment files open for reading, the most recently used ones. Safe for concurrent use.
type handles struct {
	fs    vfs.FS
	limit int

	mu     sync.Mutex
	recent *list.List // of *segment with an open handle, the most recently used in front
}

// handle is an open file. It outlives its eviction until its last user is done.
type handle struct {
	file    vfs.File
	users   int
	evicted bool
	element *list.Element
}

func newHandles(fs vfs.FS, limit int) *handles {
	return &handles{fs: fs, limit: limit, recent: list.New()}
}

// acquire opens the segment's file if it is not open. The caller releases the handle.
func (h *handles) acquire(s *segment) (*handle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.handle == nil {
		file, err := h.fs.Open(s.path)
		if err != nil {
			return nil, err
		}
		s.handle = &handle{file: file, element: h.recent.PushFront(s)}
		h.shrink(s)
	} else if h.recent.Front() != s.handle.element {
		h.recent.MoveToFront(s.handle.element)
	}
	s.handle.users++
	return s.handle, nil
}

func (h *handles) release(x *handle) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.users--
	if x.evicted && x.users == 0 {
		return x.file.Close()
	}
	return nil
}

// drop closes a segment's handle, if it has one, as soon as nobody uses it.
func (h *handles) drop(s *segment) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.handle == nil {
		return nil
	}
	return h.evict(s)
}

// shrink evicts the least recently used. A file may be in use: it is then closed by its last user, so that the bound holds
// but for the reads that are under way.
func (h *handles) shrink(keep *segment) {
	for h.recent.Len() > h.limit {
		oldest, _ := h.recent.Back().Value.(*segment)
		if oldest == keep {
			return
		}
		// A failed close of a file that was only read loses nothing.
		_ = h.evict(oldest)
	}
}

func (h *handles) evict(s *segment) error {
	x := s.handle
	s.handle = nil
	x.evicted = true
	h.recent.Remove(x.element)
	if x.users > 0 {
		return nil
	}
	return x.file.Close()
}

// readAt is one pread of a whole record, or io.EOF, or the file system's error.
func (h *handles) readAt(s *segment, to []byte, offset int64) error {
	x, err := h.acquire(s)
	if err != nil {
		return err
	}
	n, err := x.file.ReadAt(to, offset)
	if n == len(to) {
		err = nil
	}
	return errors.Join(err, h.release(x))
}
