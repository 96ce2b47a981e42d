package vfstest

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// node is a file or a directory: what one sees now, what is durable, and the changes in between, in their order.
type node struct {
	data    []byte
	durable []byte
	pending []change
	// owned: data is nobody else's, and may be written into.
	owned bool

	entries        map[string]*node // nil in a file
	durableEntries map[string]*node
	pendingNames   []nameChange
}

// change is a write, or a truncation when data is nil.
type change struct {
	offset int
	data   []byte
	// whole: it is on the disk wholly or not at all.
	whole bool
}

// nameChange takes a name away, or sets one, or both at once.
type nameChange struct {
	drop string
	set  string
	to   *node
}

func newDir() *node {
	return &node{entries: map[string]*node{}, durableEntries: map[string]*node{}}
}

func (n *node) isDir() bool { return n.entries != nil }

func (n *node) change(set string, to *node, drop string) {
	c := nameChange{drop: drop, set: set, to: to}
	c.apply(n.entries)
	n.pendingNames = append(n.pendingNames, c)
}

func (c nameChange) apply(entries map[string]*node) {
	if c.drop != "" {
		delete(entries, c.drop)
	}
	if c.to != nil {
		entries[c.set] = c.to
	}
}

func (n *node) write(offset int, data []byte) {
	n.add(change{offset: offset, data: bytes.Clone(data)})
}

// writeSector is a write within one sector of what is there.
func (n *node) writeSector(offset int, data []byte) {
	n.add(change{offset: offset, data: bytes.Clone(data), whole: true})
}

func (n *node) truncate(size int) { n.add(change{offset: size}) }

func (n *node) add(c change) {
	if !n.owned {
		n.data, n.owned = bytes.Clone(n.data), true
	}
	n.data = c.apply(n.data, len(c.data))
	n.pending = append(n.pending, c)
}

// apply keeps the first `kept` bytes of a write, and writes into `to`. What lies between the end and the write reads as
// zeros.
func (c change) apply(to []byte, kept int) []byte {
	size := c.offset + kept
	if c.data == nil && size < len(to) {
		return to[:size:size]
	}
	if size > len(to) {
		to = append(to, make([]byte, size-len(to))...)
	}
	copy(to[c.offset:size], c.data)
	return to
}

// survivors are a directory's entries after a crash.
func (n *node) survivors(loss Loss) map[string]*node {
	entries := maps.Clone(n.durableEntries)
	for i, c := range n.pendingNames {
		if loss(Pending{Name: true, Index: i, Count: len(n.pendingNames), Bytes: 1}) > 0 {
			c.apply(entries)
		}
	}
	return entries
}

// content is a file's after a crash. Content is shared freely: it has no spare capacity, and nothing is written into
// it.
func (n *node) content(loss Loss) []byte {
	data := n.durable
	if len(n.pending) > 0 {
		data = bytes.Clone(data)
	}
	for i, c := range n.pending {
		size := max(1, len(c.data))
		if c.whole {
			size = 1
		}
		kept := loss(Pending{Index: i, Count: len(n.pending), Bytes: size})
		if c.whole {
			kept *= len(c.data)
		}
		if kept > 0 {
			data = c.apply(data, min(kept, len(c.data)))
		}
	}
	return slices.Clip(data)
}

func split(path string) []string {
	return strings.FieldsFunc(filepath.Clean(path), func(r rune) bool { return r == '/' })
}
