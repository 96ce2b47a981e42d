package bitcask

import "sync/atomic"

// version is a set of segments in the order in which their records supersede each other; the last is the head. It is
// immutable. A reader pins it, so that a merge can take files away from the next version while this one is still read.
type version struct {
	segments []*segment
	byID     map[uint32]*segment
	refs     atomic.Int32
	release  func(*segment)
}

// newVersion has one reference, the caller's. release is called for each segment that no version holds any more.
func newVersion(segments []*segment, release func(*segment)) *version {
	v := &version{segments: segments, byID: make(map[uint32]*segment, len(segments)), release: release}
	for _, s := range segments {
		s.refs.Add(1)
		v.byID[s.id] = s
	}
	v.refs.Store(1)
	return v
}

func (v *version) head() *segment { return v.segments[len(v.segments)-1] }

// pin needs a reference to be held meanwhile: the engine's own, under Engine.mu.
func (v *version) pin() *version {
	v.refs.Add(1)
	return v
}

func (v *version) unpin() {
	if v.refs.Add(-1) > 0 {
		return
	}
	for _, s := range v.segments {
		if s.refs.Add(-1) == 0 {
			v.release(s)
		}
	}
}
