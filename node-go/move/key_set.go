package move

import "hash/fnv"

// keySetBits makes 8 MiB. With as many keys as it has bits two of three are taken for others, which costs a read each.
const keySetBits = 1 << 26

// keySet holds any number of keys in bounded memory: it may take a key for one that it has, and never the other way round.
// Empty it takes no memory.
type keySet struct {
	bits []uint64
}

func (s *keySet) add(key string) {
	if s.bits == nil {
		s.bits = make([]uint64, keySetBits/64)
	}
	at := placeOf([]byte(key))
	s.bits[at/64] |= 1 << (at % 64)
}

func (s *keySet) mayHave(key []byte) bool {
	if s.bits == nil {
		return false
	}
	at := placeOf(key)
	return s.bits[at/64]&(1<<(at%64)) != 0
}

func placeOf(key []byte) uint64 {
	h := fnv.New64a()
	// It never fails.
	_, _ = h.Write(key)
	return h.Sum64() % keySetBits
}
