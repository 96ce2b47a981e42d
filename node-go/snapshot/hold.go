package snapshot

import "slices"

// holds remember which part of the log followers need that are being sent a snapshot, or were not long ago: everything
// after the snapshot's index. Cut there, and they must be sent another one, perhaps for ever under load.
type holds struct {
	list []*hold
}

type hold struct {
	index uint64
	ended bool
}

func (h *holds) begin(index uint64) *hold {
	added := &hold{index: index}
	h.list = append(h.list, added)
	return added
}

// compacted is told of each local snapshot, behind which the log is then cut, except for what was held. A hold that has
// ended goes with it: until the next cut, the follower has as much time as the log takes to grow by CompactBytes.
func (h *holds) compacted() {
	h.list = slices.DeleteFunc(h.list, func(each *hold) bool { return each.ended })
}

// Held is the lowest index after which the log should stay, because a snapshot up to there is on its way to a follower.
func (s *Store) Held() (index uint64, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.holds.list {
		if !held || each.index < index {
			index, held = each.index, true
		}
	}
	return index, held
}
