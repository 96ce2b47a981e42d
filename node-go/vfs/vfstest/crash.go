package vfstest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
)

// Pending is a change that no fsync has covered.
type Pending struct {
	// Name: of a directory. Otherwise of a file's content.
	Name bool
	// Index of Count pending changes of that directory or file, in their order.
	Index int
	Count int
	// Bytes of a write; 1 for everything that happens in one piece.
	Bytes int
}

// Loss decides how many bytes of a pending change survive a crash.
type Loss func(Pending) int

func keepAll(p Pending) int { return p.Bytes }

// Losses are the crashes that have found bugs in real systems, and `seeds` random ones. Each use of the map is the same.
func Losses(seeds uint64) map[string]Loss {
	losses := map[string]Loss{
		"nothing": keepAll,
		"all":     func(Pending) int { return 0 },
		// Empty files, as after a rename without an fsync of the file.
		"content": onlyIf(func(p Pending) bool { return p.Name }),
		"names":   onlyIf(func(p Pending) bool { return !p.Name }),
		// Later pages are on the disk without earlier ones.
		"all but the last": onlyIf(func(p Pending) bool { return p.Index == p.Count-1 }),
		"the last":         onlyIf(func(p Pending) bool { return p.Index < p.Count-1 }),
		"half of the last": func(p Pending) int {
			if p.Index == p.Count-1 {
				return p.Bytes / 2
			}
			return p.Bytes
		},
	}
	for seed := range seeds {
		losses[fmt.Sprintf("random %d", seed)] = randomLoss(seed)
	}
	return losses
}

func onlyIf(keep func(Pending) bool) Loss {
	return func(p Pending) int {
		if keep(p) {
			return p.Bytes
		}
		return 0
	}
}

func randomLoss(seed uint64) Loss {
	random := rand.New(rand.NewPCG(seed, seed))
	return func(p Pending) int {
		switch random.IntN(4) {
		case 0:
			return 0
		case 1:
			return random.IntN(p.Bytes + 1)
		default:
			return p.Bytes
		}
	}
}

// Crash is what the disk holds after a power cut now. The present file system is not changed.
func (f *FS) Crash(loss Loss) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := New()
	after.root = afterCrash(f.root, loss, map[*node]*node{})
	return after
}

// Fingerprint is the same for the same names and contents: a test need not look at the same crash twice.
func (f *FS) Fingerprint() [sha256.Size]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	hash := sha256.New()
	f.root.fingerprint(hash, "")
	return [sha256.Size]byte(hash.Sum(nil))
}

func (n *node) fingerprint(hash io.Writer, path string) {
	fmt.Fprintf(hash, "%q %d\n", path, len(n.data))
	hash.Write(n.data)
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		n.entries[name].fingerprint(hash, path+"/"+name)
	}
}

// afterCrash copies what survives: all of it is durable then.
func afterCrash(n *node, loss Loss, done map[*node]*node) *node {
	if already := done[n]; already != nil {
		return already
	}
	if !n.isDir() {
		data := n.content(loss)
		done[n] = &node{data: data, durable: data}
		return done[n]
	}
	dir := newDir()
	done[n] = dir
	survivors := n.survivors(loss)
	for _, name := range slices.Sorted(maps.Keys(survivors)) {
		entry := afterCrash(survivors[name], loss, done)
		dir.entries[name], dir.durableEntries[name] = entry, entry
	}
	return dir
}
