package raftlog

import (
	"sync"

	"github.com/hashicorp/raft"
)

// entryOverhead is what an entry costs in memory beside its data: the struct, and its place here.
const entryOverhead = 128

// cache keeps the newest entries of the log, a run without a gap that ends at the last one, bounded in bytes (raft.LogCache
// counts entries). Followers that keep up are served from it, and so is the state machine.
//
// It is coherent with the log because only what is durable gets in, at the end, and what is deleted leaves before it is
// deleted; a miss is never filled in from the disk.
type cache struct {
	limit int64

	mu    sync.RWMutex
	first uint64
	// entries[i] has index first+i. They are never changed, only dropped.
	entries []raft.Log
	bytes   int64
}

// append takes entries that were stored. A gap before them, after a snapshot was installed, empties the cache first.
func (c *cache) append(logs []*raft.Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if logs[0].Index != c.first+uint64(len(c.entries)) {
		c.drop(len(c.entries))
	}
	if len(c.entries) == 0 {
		c.first = logs[0].Index
	}
	for _, l := range logs {
		c.entries = append(c.entries, *l)
		c.bytes += cost(l)
	}
	over := 0
	for bytes := c.bytes; bytes > c.limit; over++ {
		bytes -= cost(&c.entries[over])
	}
	c.drop(over)
}

// get fills in the entry with that index, and says whether it was here.
func (c *cache) get(index uint64, into *raft.Log) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if index < c.first || index-c.first >= uint64(len(c.entries)) {
		return false
	}
	*into = c.entries[index-c.first]
	return true
}

// remove forgets the entries from min to max, both included; with them the rest on the side of max or min that is no
// longer joined to the log's end.
func (c *cache) remove(minimum, maximum uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.first + uint64(len(c.entries))
	switch {
	case maximum < c.first || minimum >= end:
	case maximum >= end-1 && minimum > c.first:
		c.cut(int(minimum - c.first))
	default:
		c.drop(int(min(maximum+1, end) - c.first))
	}
}

// drop forgets the n oldest entries.
func (c *cache) drop(n int) {
	for i := range c.entries[:n] {
		c.bytes -= cost(&c.entries[i])
		c.entries[i] = raft.Log{}
	}
	c.entries = c.entries[n:]
	c.first += uint64(n)
}

// cut forgets all but the n oldest entries.
func (c *cache) cut(n int) {
	for i := n; i < len(c.entries); i++ {
		c.bytes -= cost(&c.entries[i])
		c.entries[i] = raft.Log{}
	}
	c.entries = c.entries[:n]
}

func cost(l *raft.Log) int64 { return entryOverhead + int64(len(l.Data)+len(l.Extensions)) }
