package bitcask

import (
	"math"
	"unsafe"

	"github.com/tidwall/btree"
)

// entry is where a key's record lies, one pread away, and its version: the state machine asks for that before each write.
type entry struct {
	segment uint32
	offset  uint32
	size    uint32
	version shortVersion
}

// shortVersion is a version if that is below 2^32 - 1, else versionInRecord. The four bytes fill what alignment would leave
// empty; four more would cost 16 for each key.
type shortVersion uint32

const versionInRecord shortVersion = math.MaxUint32

func shorten(version uint64) shortVersion { return shortVersion(min(version, uint64(versionInRecord))) }

// keydir maps every key to its newest record, in order. Copy is O(1): the trees share their nodes until one of them is
// changed. One writer; a copy may be read beside it.
type keydir struct {
	tree     *btree.Map[string, entry]
	keyBytes int64
	live     int64 // bytes of all records
}

func newKeydir() *keydir { return &keydir{tree: new(btree.Map[string, entry])} }

// copy changes the original too (it gives up the ownership of its nodes): it needs the writer's lock.
func (k *keydir) copy() *keydir {
	return &keydir{tree: k.tree.Copy(), keyBytes: k.keyBytes, live: k.live}
}

func (k *keydir) get(key []byte) (entry, bool) { return k.tree.Get(unsafeString(key)) }

func (k *keydir) set(key string, e entry) (old entry, replaced bool) {
	old, replaced = k.tree.Set(key, e)
	k.live += int64(e.size) - int64(old.size)
	if !replaced {
		k.keyBytes += int64(len(key))
	}
	return old, replaced
}

func (k *keydir) delete(key []byte) (old entry, deleted bool) {
	old, deleted = k.tree.Delete(unsafeString(key))
	if deleted {
		k.live -= int64(old.size)
		k.keyBytes -= int64(len(key))
	}
	return old, deleted
}

func (k *keydir) len() int { return k.tree.Len() }

// contentBytes is the size of all keys and values.
func (k *keydir) contentBytes() int64 { return k.live - int64(k.len())*recordHeaderBytes }

// memoryBytes estimates what the directory occupies: measured, see DESIGN.md.
func (k *keydir) memoryBytes() int64 { return k.keyBytes + int64(k.len())*entryBytes }

// entryBytes is the tree's memory per key, without the key's own bytes.
const entryBytes = 46

// unsafeString saves a copy where a string is only compared. It must never be stored.
func unsafeString(key []byte) string { return unsafe.String(unsafe.SliceData(key), len(key)) }

// unsafeBytes saves a copy where bytes are only looked at. They must never be stored or modified.
func unsafeBytes(key string) []byte { return unsafe.Slice(unsafe.StringData(key), len(key)) }
