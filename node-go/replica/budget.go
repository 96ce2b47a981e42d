package replica

import "sync/atomic"

// Budget bounds the bytes that client operations hold in this process: requests from their arrival, answers until they
// are sent, writes until their Raft entry is settled. Whatever does not fit is refused with OVERLOADED, so no queue
// behind it can grow without bound.
type Budget struct {
	free atomic.Int64
	// kept is what answers must leave for requests: clients that do not read theirs would keep everybody from asking.
	kept int64
}

// NewBudget allows `bytes` in flight.
func NewBudget(bytes int64) *Budget {
	b := &Budget{kept: bytes / 4}
	b.free.Store(bytes)
	return b
}

// Hold is a reservation with one owner, the caller, and any number of further ones (Retain). It is given back when
// the last owner has released it. Safe for concurrent use.
type Hold struct {
	budget *Budget
	bytes  atomic.Int64
	owners atomic.Int32
}

// Reserve takes n bytes, or returns nil when they are not free.
func (b *Budget) Reserve(n int64) *Hold {
	if !b.take(n, 0) {
		return nil
	}
	h := &Hold{budget: b}
	h.bytes.Store(n)
	h.owners.Store(1)
	return h
}

// Free is what is left.
func (b *Budget) Free() int64 { return b.free.Load() }

// take leaves at least `left` free.
func (b *Budget) take(n, left int64) bool {
	if b.free.Add(-n) >= left {
		return true
	}
	b.free.Add(n)
	return false
}

// Grow adds the n bytes of an answer to the reservation; false when they are not free, but for a quarter of the budget
// that is left to requests. Only an owner may call it.
func (h *Hold) Grow(n int64) bool {
	if !h.budget.take(n, h.budget.kept) {
		return false
	}
	h.bytes.Add(n)
	return true
}

// Retain adds an owner. Only an owner may call it.
func (h *Hold) Retain() { h.owners.Add(1) }

// Release gives the bytes back when the last owner calls it. Each owner calls it once.
func (h *Hold) Release() {
	if h.owners.Add(-1) == 0 {
		h.budget.free.Add(h.bytes.Swap(0))
	}
}
