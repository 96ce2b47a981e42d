package powercut

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"kvorum/node/vfs"
)

// sectorBytes is what a disk writes wholly or not at all.
const sectorBytes = 512

// content is a file's, whatever its name is: what no Sync has covered can be taken back.
type content struct {
	mu sync.Mutex
	// where it lies now: also in the attic, when its name is taken away. Guarded by FS.mu.
	where string
	size  int64
	// durable is the size at the last Sync.
	durable int64
	// old are the sectors below durable that were changed since, as they were. The last one may be shorter.
	old map[int64][]byte
}

// before notes what a write is about to change. Called with mu held.
func (c *content) before(file io.ReaderAt, from, to int64) error {
	for sector := from / sectorBytes; sector*sectorBytes < min(to, c.durable); sector++ {
		if _, known := c.old[sector]; known {
			continue
		}
		was := make([]byte, min(sectorBytes, c.durable-sector*sectorBytes))
		// What lies beyond a truncated end was noted when it was cut off.
		if n, err := file.ReadAt(was, sector*sectorBytes); err != nil && !errors.Is(err, io.EOF) {
			return err
		} else if n == 0 {
			continue
		}
		c.old[sector] = was
	}
	return nil
}

// syncing gives what a Sync that begins now makes durable, and begins to note anew.
func (c *content) syncing() (old map[int64][]byte, durable int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, durable = c.old, c.durable
	c.old, c.durable = map[int64][]byte{}, c.size
	return old, durable
}

// notSynced takes back what syncing has said. What is older counts.
func (c *content) notSynced(old map[int64][]byte, durable int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.old, old)
	c.durable = durable
	maps.DeleteFunc(c.old, func(sector int64, _ []byte) bool { return sector*sectorBytes >= durable })
}

// lose leaves of what no Sync has covered whatever chance leaves: each sector by itself is as it is or as it was.
func (c *content) lose(base vfs.FS, random *rand.Rand) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.old) == 0 && c.size == c.durable {
		return nil
	}
	file, err := base.OpenAppend(c.where)
	if err != nil {
		return err
	}
	end := c.size
	if c.size > c.durable {
		end = c.endAfterLoss(random)
	}
	// A shorter file may be the longer one that it was, with all that was cut off.
	restored := c.size < c.durable && random.IntN(2) == 0
	if restored {
		end = c.durable
	}
	if err := errors.Join(file.Truncate(end), file.Close()); err != nil {
		return err
	}
	return c.loseSectors(base, random, end, restored)
}

// endAfterLoss is anything between the durable size and the present one; both ends are likely.
func (c *content) endAfterLoss(random *rand.Rand) int64 {
	switch random.IntN(3) {
	case 0:
		return c.durable
	case 1:
		return c.size
	default:
		return c.durable + random.Int64N(c.size-c.durable+1)
	}
}

func (c *content) loseSectors(base vfs.FS, random *rand.Rand, end int64, restored bool) error {
	file, err := base.OpenRandom(c.where)
	if err != nil {
		return err
	}
	put := func(data []byte, at int64) error {
		if at >= end {
			return nil
		}
		_, err := file.WriteAt(data[:min(int64(len(data)), end-at)], at)
		return err
	}
	for _, sector := range slices.Sorted(maps.Keys(c.old)) {
		cutOff := restored && (sector+1)*sectorBytes > c.size
		if !cutOff && random.IntN(2) == 0 {
			continue
		}
		if err := put(c.old[sector], sector*sectorBytes); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	// Grown, but never written: zeros.
	zeros := make([]byte, sectorBytes)
	for at := c.durable; at < end; at = (at/sectorBytes + 1) * sectorBytes {
		if random.IntN(4) > 0 {
			continue
		}
		if err := put(zeros[:min(sectorBytes-at%sectorBytes, end-at)], at); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}
