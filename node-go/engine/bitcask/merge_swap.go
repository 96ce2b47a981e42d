package bitcask

import (
	"fmt"
	"slices"
)

// swapGroup replaces the group by what was packed, on disk; in memory both are there until the keys are moved.
func (e *Engine) swapGroup(p *pass, group []input, pack *packer) error {
	e.slot.lock()
	defer e.slot.unlock()
	if err := e.broken(); err != nil {
		return err
	}
	if e.overtaken(p) {
		return errOvertaken
	}
	// The manifest's own point stays: nextID too, since log segments that it does not list may exist already.
	m := *e.manifest
	first := indexOf(m.sealed, group)
	if first < 0 {
		return fmt.Errorf("merge: segment %d is not in the manifest as expected: nothing is changed", group[0].id)
	}
	packed := pack.segments()
	m.sealed = slices.Concat(m.sealed[:first], listed(packed), m.sealed[first+len(group):])
	if err := e.install(&m); err != nil {
		return err
	}
	e.mu.Lock()
	before := e.version
	at := slices.Index(before.segments, group[0].segment)
	e.version = newVersion(slices.Concat(before.segments[:at], packed, before.segments[at:]), e.release)
	e.mu.Unlock()
	before.unpin()
	return nil
}

// indexOf finds the group as a run in the manifest's list, -1 if it is not there.
func indexOf(sealed []manifestSegment, group []input) int {
	first := slices.IndexFunc(sealed, func(s manifestSegment) bool { return s.id == group[0].id })
	if first < 0 || first+len(group) > len(sealed) {
		return -1
	}
	for i, in := range group {
		if sealed[first+i].id != in.id {
			return -1
		}
	}
	return first
}

// repoint moves the keys that still have the record of X to its copy, some at a time. False: overtaken by a Restore.
func (e *Engine) repoint(p *pass, out *packed) bool {
	records := hint{records: out.hint.records()}
	moves := make([]move, 0, repointKeys)
	going := true
	records.each(func(r placed) {
		was, _ := p.keydir.tree.Get(r.key)
		moves = append(moves, move{key: r.key, was: was, is: entry{segment: out.id, offset: r.offset, size: r.size, version: r.version}})
		if len(moves) == repointKeys {
			going = going && e.repointSome(p, out.segment, moves)
			moves = moves[:0]
		}
	})
	return going && e.repointSome(p, out.segment, moves)
}

// move is a key whose record of X has been copied.
type move struct {
	key string
	was entry
	is  entry
}

func (e *Engine) repointSome(p *pass, out *segment, moves []move) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.generation != p.generation {
		return false
	}
	for _, m := range moves {
		if now, found := e.keydir.tree.Get(m.key); !found || now != m.was {
			continue // written or deleted since: the copy is dead already
		}
		e.keydir.set(m.key, m.is)
		e.version.byID[m.was.segment].live -= int64(m.was.size)
		out.live += int64(m.is.size)
	}
	return true
}

// dropInputs takes the group out of the published version; its files go with their last reader.
func (e *Engine) dropInputs(p *pass, group []input) error {
	e.mu.Lock()
	if e.generation != p.generation {
		e.mu.Unlock()
		return errOvertaken
	}
	before := e.version
	at := slices.Index(before.segments, group[0].segment)
	e.version = newVersion(slices.Concat(before.segments[:at], before.segments[at+len(group):]), e.release)
	e.mu.Unlock()
	for _, in := range group {
		e.makeObsolete(in.segment)
	}
	before.unpin()
	return nil
}

func (e *Engine) overtaken(p *pass) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.generation != p.generation
}
