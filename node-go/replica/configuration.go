package replica

import (
	"cmp"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// configuration is who the members are, and the entry that says so.
type configuration struct {
	// index is 0 when there are no members yet.
	index   uint64
	servers []raft.Server
}

func (c configuration) has(id raft.ServerID) bool {
	return slices.ContainsFunc(c.servers, func(server raft.Server) bool { return server.ID == id })
}

// votersWithout are the voters but for one.
func (c configuration) votersWithout(id raft.ServerID) []raft.ServerID {
	var voters []raft.ServerID
	for _, server := range c.servers {
		if server.Suffrage == raft.Voter && server.ID != id {
			voters = append(voters, server.ID)
		}
	}
	return voters
}

// configurations are those in the log. Raft tells who the members are, but not since which entry, which is what orders a
// change among others (raft.GetConfiguration().Index() is 0 in hashicorp/raft 1.7.3).
type configurations struct {
	snapshots snapshots
	changed   func()

	mu sync.Mutex
	// entries are in the order of the log. Before them there is the newest snapshot's configuration.
	entries []configuration
}

// stored is told of entries that the log has now, in any order: Raft begins with the last.
func (c *configurations) stored(entries []*raft.Log) {
	for _, entry := range entries {
		if entry.Type != raft.LogConfiguration {
			continue
		}
		c.mu.Lock()
		at, known := slices.BinarySearchFunc(c.entries, entry.Index, func(one configuration, index uint64) int {
			return cmp.Compare(one.index, index)
		})
		if !known {
			c.entries = slices.Insert(c.entries, at, configuration{entry.Index, raft.DecodeConfiguration(entry.Data).Servers})
		}
		c.mu.Unlock()
		c.changed()
	}
}

// removed is told that the log has nothing from an entry on.
func (c *configurations) removed(from uint64) {
	c.mu.Lock()
	before := len(c.entries)
	c.entries = slices.DeleteFunc(c.entries, func(one configuration) bool { return one.index >= from })
	fewer := len(c.entries) < before
	c.mu.Unlock()
	if fewer {
		c.changed()
	}
}

// newest is the one that counts, committed or not. Its servers are shared: nobody changes them.
func (c *configurations) newest() configuration {
	snapshot, index := c.snapshots.Configuration()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.entries); n > 0 && c.entries[n-1].index > index {
		return c.entries[n-1]
	}
	return configuration{index, snapshot.Servers}
}
