package raftlog

import (
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

func TestCacheKeepsTheNewestWithinItsLimit(t *testing.T) {
	one := cost(entry(7, 1))
	c := cache{limit: 3 * one}
	// All of one size.
	for i := uint64(7); i <= 49; i += 7 {
		c.append([]*raft.Log{entry(i/7, 1)})
	}
	if c.bytes > c.limit {
		t.Errorf("%d bytes, at most %d", c.bytes, c.limit)
	}
	if !c.get(7, &raft.Log{}) || c.get(1, &raft.Log{}) {
		t.Error("the newest must be there, the oldest not")
	}
	big := entry(8, 1)
	big.Data = make([]byte, c.limit)
	c.append([]*raft.Log{big})
	if c.get(8, &raft.Log{}) || c.bytes != 0 {
		t.Errorf("an entry beyond the limit is kept, %d bytes", c.bytes)
	}
	c.append([]*raft.Log{entry(9, 1)})
	if !c.get(9, &raft.Log{}) {
		t.Error("after a big one there is room again")
	}
}

// Whatever is appended and deleted, the cache has what the log has, or nothing.
func TestCacheIsCoherent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cache{limit: rapid.Int64Range(0, 4000).Draw(t, "limit")}
		var log []*raft.Log
		next := uint64(1)
		term := uint64(1)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"append", "append", "cut", "trim", "empty"}).Draw(t, "step") {
			case "append":
				count := rapid.Uint64Range(1, 8).Draw(t, "count")
				added := entries(next, next+count-1, term)
				c.append(added)
				log = append(log, added...)
				next += count
			case "cut":
				if len(log) == 0 {
					continue
				}
				keep := rapid.IntRange(0, len(log)-1).Draw(t, "keep")
				c.remove(log[keep].Index, next-1)
				next = log[keep].Index
				log = log[:keep]
				term++
			case "trim":
				if len(log) == 0 {
					continue
				}
				drop := rapid.IntRange(1, len(log)).Draw(t, "drop")
				c.remove(log[0].Index, log[drop-1].Index)
				log = log[drop:]
			case "empty":
				if len(log) > 0 {
					c.remove(log[0].Index, next-1)
				}
				log = nil
				next += rapid.Uint64Range(0, 100).Draw(t, "gap")
			}
			checkCoherent(t, &c, log, next)
		}
	})
}

func checkCoherent(t *rapid.T, c *cache, log []*raft.Log, next uint64) {
	has := map[uint64]*raft.Log{}
	for _, l := range log {
		has[l.Index] = l
	}
	var bytes int64
	for i := uint64(0); i <= next+1; i++ {
		var got raft.Log
		if !c.get(i, &got) {
			continue
		}
		bytes += cost(&got)
		if has[i] == nil || !same(&got, has[i]) {
			t.Fatalf("entry %d: got %+v, the log has %+v", i, got, has[i])
		}
	}
	if bytes != c.bytes || bytes > c.limit {
		t.Fatalf("%d bytes are counted, %d are there, at most %d", c.bytes, bytes, c.limit)
	}
}
