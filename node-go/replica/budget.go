package replica

import "sync/atomic"

// Budget bounds the bytes that client operations hold in this process: requests from their arrival, answers until they
// are sent, writes until their Raft entry is settled. Whatever does not fit is refused with OVERLOADED, so no queue
// behind it can grow without bound.
type Budget struct {
	free atomic.Int64
}

// NewBudget allows `bytes` in flight.
func NewBudget(bytes int64) *Budget {
	b := &Budget{}
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
	if !b.take(n) {
		return nil
	}
	h := &Hold{budget: b}
	h.bytes.Store(n)
	h.owners.Store(1)
	return h
}

// Free is what is left.
func (b *Budget) Free() int64 { return b.free.Load() }

func (b *Budget) take(n int64) bool {
	if b.free.Add(-n) >= 0 {
		return true
	}
	b.free.Add(n)
	return false
}

// Grow adds n bytes to the reservation; false when they are not free. Only an owner may call it.
func (h *Hold) Grow(n int64) bool {
	if !h.budget.take(n) {
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
