package raftlog

import (
	"sort"
	"sync"
)

// markBytes is the distance between marks. Between two, entries are taken to be of equal size.
const markBytes = 64 << 10

// sizes knows, nearly, how many bytes lie between two entries of the log, in little memory: it marks every 64 KiB, and of
// segments that were there at the start only their ends.
type sizes struct {
	mu sync.Mutex
	// marks are ordered; the first is the entry before the log's first, the last is the log's last entry.
	marks []mark
}

// mark says that the entries up to and including index have that many bytes, counted from some beginning.
type mark struct {
	index uint64
	bytes int64
}

func newSizes(before uint64) *sizes { return &sizes{marks: []mark{{index: before}}} }

// append counts entries up to index at the end of the log.
func (s *sizes) append(index uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appendLocked(index, bytes)
}

func (s *sizes) appendLocked(index uint64, bytes int64) {
	last := &s.marks[len(s.marks)-1]
	end := mark{index: index, bytes: last.bytes + bytes}
	if n := len(s.marks); n > 1 && end.bytes-s.marks[n-2].bytes < markBytes {
		*last = end
		return
	}
	s.marks = append(s.marks, end)
}

// startAt forgets everything: the next entry follows index.
func (s *sizes) startAt(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = []mark{{index: index}}
}

// cutAfter forgets the entries after index.
func (s *sizes) cutAfter(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := mark{index: index, bytes: s.upTo(index)}
	n := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].index >= index })
	s.marks = append(s.marks[:n], end)
}

// cutBefore forgets the entries up to and including index.
func (s *sizes) cutBefore(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := mark{index: index, bytes: s.upTo(index)}
	n := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].index > index })
	s.marks = append([]mark{start}, s.marks[n:]...)
}

// since is the size of the entries after index.
func (s *sizes) since(index uint64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[len(s.marks)-1].bytes - s.upTo(index)
}

// trailing is how many of the newest entries have together at most that size.
func (s *sizes) trailing(bytes int64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.marks[len(s.marks)-1]
	n := sort.Search(len(s.marks), func(i int) bool { return last.bytes-s.marks[i].bytes <= bytes })
	if n == 0 {
		return last.index - s.marks[0].index
	}
	// The bound lies between two marks: so much of the way from the later one back to the earlier one.
	earlier, later := s.marks[n-1], s.marks[n]
	room := float64(bytes-(last.bytes-later.bytes)) / float64(later.bytes-earlier.bytes)
	return last.index - later.index + uint64(room*float64(later.index-earlier.index))
}

// upTo is the count at an index, interpolated.
func (s *sizes) upTo(index uint64) int64 {
	n := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].index >= index })
	switch {
	case n == len(s.marks):
		return s.marks[n-1].bytes
	case n == 0 || s.marks[n].index == index:
		return s.marks[n].bytes
	}
	earlier, later := s.marks[n-1], s.marks[n]
	part := float64(index-earlier.index) / float64(later.index-earlier.index)
	return earlier.bytes + int64(part*float64(later.bytes-earlier.bytes))
}
