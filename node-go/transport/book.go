package transport

import (
	"maps"
	"sync"
)

// Book knows where each node listens. It learns from the cluster map (Set by the server) and from handshakes: a node
// that dials says where it can be dialled. The newest word counts, since a node tells only its present address.
// Safe for concurrent use.
type Book struct {
	mu        sync.Mutex
	addresses map[string]string

	// saving makes calls of save follow one another, so that an older book is never saved over a newer one.
	saving sync.Mutex
	save   func(addresses map[string]string)
}

// NewBook starts with the given addresses. save, if not nil, is called with a copy of the whole book after each change,
// one call at a time; an error is its own business, because a lost address is learnt again.
func NewBook(addresses map[string]string, save func(addresses map[string]string)) *Book {
	b := &Book{addresses: maps.Clone(addresses), save: save}
	if b.addresses == nil {
		b.addresses = map[string]string{}
	}
	return b
}

// Set notes where a node listens. It returns after the book was saved.
func (b *Book) Set(id, address string) {
	if id == "" || address == "" || !b.put(id, address) || b.save == nil {
		return
	}
	b.saving.Lock()
	defer b.saving.Unlock()
	b.save(b.All())
}

// Get is where a node listens, if known.
func (b *Book) Get(id string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	address, ok := b.addresses[id]
	return address, ok
}

// All is a copy of the book.
func (b *Book) All() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.addresses)
}

func (b *Book) put(id, address string) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.addresses[id] == address {
		return false
	}
	b.addresses[id] = address
	return true
}
