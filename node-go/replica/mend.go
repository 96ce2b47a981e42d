package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvorum/node/clock"
	"kvorum/node/engine"
)

// Peer is another node of the shard.
type Peer struct{ ID, Address string }

// Fetch reads a peer's state machine, with everything up to atLeast, as the stream of an engine's view. It must make sure
// that it is this very peer who answers.
type Fetch func(ctx context.Context, peer Peer, atLeast uint64) (io.ReadCloser, error)

const (
	damagedSuffix = ".damaged-"
	// The peers are asked in turn; after each round of refusals the wait doubles.
	seedRetryMin = 250 * time.Millisecond
	seedRetryMax = 5 * time.Second
)

// mend makes a damaged engine anew. Votes and acknowledged entries are in the log, which is intact, so this node stays
// who it is: what was in the engine was committed, and the log or a peer has it.
//
// If the log reaches back to its first entry, replaying it is enough. Otherwise a peer's view must reach up to the
// newest snapshot; the log holds the rest. A view may be newer than our log: entries at or below its index are skipped
// when they arrive.
func (s *stores) mend(ctx context.Context, o *Options, damage error) error {
	// An empty one is what a crash in the middle of mending leaves.
	if s.engine == nil || s.engine.Applied() > 0 {
		if err := s.setAside(o); err != nil {
			return fmt.Errorf("set the damaged engine aside: %w", err)
		}
		if err := s.openEngine(o); err != nil {
			return err
		}
	}
	var lacks *engine.CorruptError
	if err := s.snapshots.FinishRestore(s.log); errors.As(err, &lacks) {
		if err := s.seed(ctx, o, damage); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	// What was open is closed again, so that there is one way to open.
	if err := s.engine.Close(); err != nil {
		return err
	}
	s.engine = nil
	return s.openContent(o)
}

// setAside keeps the newest damaged engine for people to look at, and removes older ones.
func (s *stores) setAside(o *Options) error {
	if s.engine != nil {
		s.engine.Close()
		s.engine = nil
	}
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return err
	}
	last := 0
	for _, name := range names {
		suffix, ok := strings.CutPrefix(name, EngineDir+damagedSuffix)
		number, err := strconv.Atoi(suffix)
		if !ok || err != nil {
			continue
		}
		last = max(last, number)
		if err := o.FS.RemoveAll(filepath.Join(o.Dir, name)); err != nil {
			return err
		}
	}
	aside := EngineDir + damagedSuffix + strconv.Itoa(last+1)
	if err := o.FS.Rename(filepath.Join(o.Dir, EngineDir), filepath.Join(o.Dir, aside)); err != nil {
		return err
	}
	o.Log.Warn("the damaged engine is set aside", "directory", aside)
	return o.FS.SyncDir(o.Dir)
}

// seed restores the engine from the first peer that can, and asks until one does.
func (s *stores) seed(ctx context.Context, o *Options, damage error) error {
	if o.Fetch == nil || len(o.peers()) == 0 {
		return fmt.Errorf("%w; no peer is known that could seed this node again", damage)
	}
	if o.Seeding != nil {
		o.Seeding()
	}
	newest, _ := s.snapshots.Newest()
	for delay := seedRetryMin; ; delay = min(2*delay, seedRetryMax) {
		for _, peer := range o.peers() {
			done, err := s.seedFrom(ctx, o, peer, newest.Needs)
			if done {
				return err
			}
			o.Log.Warn("a peer could not seed this node", "peer", peer.ID, "address", peer.Address, "error", err)
		}
		if err := clock.Wait(ctx, o.Clock, delay); err != nil {
			return fmt.Errorf("seed this node: %w", err)
		}
	}
}

// seedFrom says whether that is the end of it: the engine is restored, or broken. A peer that refuses, or whose stream
// breaks, changes nothing.
func (s *stores) seedFrom(ctx context.Context, o *Options, peer Peer, atLeast uint64) (done bool, err error) {
	stream, err := o.Fetch(ctx, peer, atLeast)
	if err != nil {
		return false, err
	}
	defer stream.Close()
	applied, err := s.engine.Restore(stream)
	var broken *engine.StreamError
	if errors.As(err, &broken) {
		return false, err
	}
	if err != nil {
		return true, fmt.Errorf("restore from node %s: %w", peer.ID, err)
	}
	o.Log.Info("seeded from a peer", "peer", peer.ID, "address", peer.Address, "applied", applied)
	return true, nil
}

// peers are the other nodes that are known, in a stable order.
func (o *Options) peers() []Peer {
	var peers []Peer
	for id, address := range o.Book.All() {
		if id != o.Identity.NodeID {
			peers = append(peers, Peer{ID: id, Address: address})
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return peers
}
