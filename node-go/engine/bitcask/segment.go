package bitcask

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"kvorum/node/vfs"
)

const (
	manifestName  = "MANIFEST"
	damagedName   = "DAMAGED"
	unsyncedName  = "UNSYNCED"
	lockName      = "LOCK"
	segmentSuffix = ".seg"
	hintSuffix    = ".hint"
)

// segment is one data file. Records in it never change: only the head grows.
type segment struct {
	id   uint32
	kind uint32
	path string

	// Guarded by Engine.mu. bytes is the end of the last applied batch; overhead is what no merge could give back; live is
	// what the key directory refers to.
	bytes    int64
	overhead int64
	live     int64

	// writer is open as long as some bytes are not fsynced: an error of write-back is reported to this very descriptor.
	// Guarded by Engine.writeMu while it is the head, afterwards by the manifest's slot.
	writer vfs.File

	refs     atomic.Int32 // one per version that lists it
	obsolete atomic.Bool  // no manifest lists it: the file goes with the last reference
	handle   *handle      // guarded by handles.mu
	hinted   bool         // has a good hint file; guarded by Engine.maintenance
}

// dead is what a merge could give back.
func (s *segment) dead() int64 { return s.bytes - s.overhead - s.live }

func segmentPath(dir string, id uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%010d%s", id, segmentSuffix))
}

func hintPath(dir string, id uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%010d%s", id, hintSuffix))
}

// parseName tells which segment a file belongs to. Names that are not exactly ours are somebody else's.
func parseName(name string) (id uint32, suffix string, ours bool) {
	base := strings.TrimSuffix(name, vfs.TempSuffix)
	for _, suffix := range []string{segmentSuffix, hintSuffix} {
		number, found := strings.CutSuffix(base, suffix)
		if !found {
			continue
		}
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil || len(number) != 10 {
			return 0, "", false
		}
		return uint32(id), name[len(number):], true
	}
	return 0, "", false
}
