package main

import (
	"cmp"
	"slices"
	"strings"
)

// end of every value that a client writes (test/chaos/model/format.ts): a value of a key is what was put last and all that
// was appended since.
const end = ";"

// observation is what a read was told. Reads with the same one differ only in their times.
type observation struct {
	found   bool
	value   string
	told    bool
	version uint64
}

// essential leaves out reads that say nothing that others do not say as well. Reads change nothing, so each of them only
// asks that the key was in some state at some moment of its time:
//
//   - A read whose time holds that of another one with the same answer asks less than that one.
//   - A value that only one write can have made was there for one stretch of time. Every read of it meets that stretch if
//     the stretch begins before the first of them returns, and ends after the last of them was called: these two ask for
//     everything.
//
// A search for an order has to try every subset of reads that are open at once, and hundreds are when they wait for a leader
// that is stopped.
func essential(all []*operation) []*operation {
	made := writesOf(all)
	reads := map[observation][]*operation{}
	var kept []*operation
	for _, op := range all {
		if op.Op == "get" {
			o := observationOf(op)
			reads[o] = append(reads[o], op)
		} else {
			kept = append(kept, op)
		}
	}
	for seen, same := range reads {
		if seen.found && made[lastWrite(seen.value)] == 1 {
			kept = append(kept, outermost(same)...)
		} else {
			kept = append(kept, innermost(same)...)
		}
	}
	slices.SortFunc(kept, func(a, b *operation) int { return cmp.Compare(a.ID, b.ID) })
	return kept
}

// writesOf counts the writes that end in the same way. It is empty when some write does not end as it should: then values
// could be made in several ways.
func writesOf(all []*operation) map[string]int {
	made := map[string]int{}
	for _, op := range all {
		if op.Op != "put" && op.Op != "append" && op.Op != "compare-and-set" {
			continue
		}
		if !strings.HasSuffix(op.Value, end) {
			return nil
		}
		made[lastWrite(op.Value)]++
	}
	return made
}

func observationOf(op *operation) observation {
	var o observation
	if op.Got != nil {
		o.found, o.value = true, *op.Got
	}
	if op.Version != nil {
		o.told, o.version = true, *op.Version
	}
	return o
}

// lastWrite is what the write that made this value has written.
func lastWrite(value string) string {
	at := strings.LastIndex(strings.TrimSuffix(value, end), end)
	return value[at+1:]
}

// outermost are the first that returns and the last that was called.
func outermost(reads []*operation) []*operation {
	first := slices.MinFunc(reads, func(a, b *operation) int { return cmp.Compare(*a.Return, *b.Return) })
	last := slices.MaxFunc(reads, func(a, b *operation) int { return cmp.Compare(a.Call, b.Call) })
	if first == last {
		return []*operation{first}
	}
	return []*operation{first, last}
}

// innermost are those that hold no other one.
func innermost(reads []*operation) []*operation {
	// Whatever a read holds has returned before it, or with it and was called later.
	slices.SortStableFunc(reads, func(a, b *operation) int {
		return cmp.Or(cmp.Compare(*a.Return, *b.Return), cmp.Compare(b.Call, a.Call))
	})
	var kept []*operation
	latest := int64(-1)
	for _, read := range reads {
		if len(kept) == 0 || read.Call > latest {
			kept = append(kept, read)
			latest = read.Call
		}
	}
	return kept
}
