package bitcask

import (
	"context"
	"errors"
	"fmt"
	"io"

	"kvorum/node/engine"
)

// A merge is one pass over the sealed segments, from the oldest on. It rewrites them in groups of neighbours, and each group
// is swapped for its packed form in the manifest, in place, so that later segments go on superseding it.
//
// What is alive is decided by the key directory as of one moment, X, and everything up to X is fsynced before anything is
// thrown away: or a power cut could take the record that made another one dead. Deletions are always dropped: what they
// hide is older, so the pass has already rewritten it without, and X says that nothing older is alive. Segments in which
// nothing is dead are left as they are: they hold nothing that a deletion could have to hide.
type pass struct {
	version    *version
	keydir     *keydir
	applied    uint64
	generation uint64
	groups     [][]input
}

// input is a sealed segment as of X.
type input struct {
	*segment
	live int64
	dead int64
}

// repointKeys are moved under one hold of the lock: some 0.1 ms.
const repointKeys = 128

// errOvertaken says that a Restore has replaced the content meanwhile.
var errOvertaken = errors.New("a restore has replaced what was to be merged")

// Merge also closes the present head, so that what is dead in it is given back too.
func (e *Engine) Merge(ctx context.Context) error {
	if err := e.sealHead(); err != nil {
		return err
	}
	return e.merge(ctx)
}

func (e *Engine) merge(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	if err := e.maintenance.lockContext(ctx); err != nil {
		return err
	}
	defer e.maintenance.unlock()
	p, err := e.beginPass(ctx)
	if err != nil {
		return err
	}
	defer p.version.unpin()
	start := e.clock.Now()
	for _, group := range p.groups {
		err := e.mergeGroup(ctx, p, group)
		if errors.Is(err, errOvertaken) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if len(p.groups) > 0 {
		e.merges.Add(1)
		e.log.Info("engine merged", "groups", len(p.groups), "took", e.clock.Since(start))
	}
	return nil
}

// worthMerging looks at the sealed segments only: the head cannot be merged yet.
func (e *Engine) worthMerging() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.version == nil {
		return false
	}
	var dead, total int64
	for _, s := range e.version.segments[:len(e.version.segments)-1] {
		dead += s.dead()
		total += s.bytes
	}
	return total > 0 && float64(dead) >= e.options.MergeRatio*float64(total)
}

func (e *Engine) sealHead() error {
	e.writeMu.Lock()
	defer e.writeMu.Unlock()
	if err := e.broken(); err != nil {
		return err
	}
	e.mu.RLock()
	dead := e.head.dead()
	e.mu.RUnlock()
	if dead == 0 {
		return nil
	}
	return e.rotate()
}

// beginPass takes X, makes it durable, and chooses what to rewrite.
func (e *Engine) beginPass(ctx context.Context) (*pass, error) {
	if err := e.broken(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	if e.version == nil {
		e.mu.Unlock()
		return nil, engine.ErrClosed
	}
	p := &pass{version: e.version.pin(), keydir: e.keydir.copy(), applied: e.applied, generation: e.generation}
	inputs := make([]input, 0, len(p.version.segments))
	for _, s := range p.version.segments[:len(p.version.segments)-1] {
		inputs = append(inputs, input{segment: s, live: s.live, dead: s.dead()})
	}
	e.mu.Unlock()
	if _, err := e.Sync(ctx); err != nil {
		p.version.unpin()
		return nil, err
	}
	p.groups = chooseGroups(inputs, e.options.SegmentBytes)
	return p, nil
}

// chooseGroups puts neighbours together as long as their live records, packed, fit into one segment. A segment alone without
// anything dead stays as it is; so a second pass over the result finds nothing to do.
func chooseGroups(inputs []input, segmentBytes int64) [][]input {
	room := segmentBytes - segmentHeaderBytes - (segmentBytes/packChunkBytes+1)*recordHeaderBytes
	var groups [][]input
	for len(inputs) > 0 {
		n, live, dead := 1, inputs[0].live, inputs[0].dead
		for n < len(inputs) && live+inputs[n].live <= room {
			live += inputs[n].live
			dead += inputs[n].dead
			n++
		}
		if n > 1 || dead > 0 {
			groups = append(groups, inputs[:n])
		}
		inputs = inputs[n:]
	}
	return groups
}

func (e *Engine) mergeGroup(ctx context.Context, p *pass, group []input) error {
	pack := e.newPacker(p.applied)
	err := e.packGroup(ctx, p, group, pack)
	if err == nil {
		err = e.swapGroup(p, group, pack)
	}
	if err != nil {
		if e.broken() == nil {
			pack.abandon()
		}
		return err
	}
	for _, out := range pack.done {
		if !e.repoint(p, out) {
			return errOvertaken
		}
	}
	return e.dropInputs(p, group)
}

// packGroup writes what is alive at X.
func (e *Engine) packGroup(ctx context.Context, p *pass, group []input, pack *packer) error {
	var want, got int64
	for _, in := range group {
		want += in.live
		live, err := e.packSegment(ctx, p, in.segment, pack)
		if err != nil {
			return err
		}
		got += live
	}
	if got != want {
		// Never throw away what the key directory still needs, even if its account is wrong.
		return fmt.Errorf("merge: %d live bytes found, %d expected: nothing is changed", got, want)
	}
	return pack.finish()
}

func (e *Engine) packSegment(ctx context.Context, p *pass, s *segment, pack *packer) (live int64, err error) {
	x, err := e.handles.acquire(s)
	if err != nil {
		return 0, e.readFailed(s, 0, err)
	}
	defer func() { err = errors.Join(err, e.handles.release(x)) }()
	header, err := readSegmentHeader(x.file, s.id)
	if err != nil {
		return 0, e.scanDamaged(s, err)
	}
	batches := scanBatches(x.file, header, segmentHeaderBytes, s.bytes, header.prevApplied)
	for {
		r, err := batches.next()
		if errors.Is(err, io.EOF) {
			return live, nil
		}
		if err != nil {
			return 0, e.scanDamaged(s, err)
		}
		if r.kind == kindCommit && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if at, found := p.keydir.get(r.key); r.kind != kindPut || !found || at.segment != s.id || at.offset != r.offset {
			continue
		}
		if _, err := pack.add(r.engineRecord()); err != nil {
			return 0, err
		}
		live += int64(r.size)
	}
}
