package fsm

import (
	"encoding/binary"
	"iter"
	"math/bits"

	"kvorum/node/fsm/command"
)

// partitionSet is a set of partitions. As bytes, partition p is bit p % 8 of byte p / 8.
type partitionSet [command.Partitions / 64]uint64

// decodePartitionSet says whether the bytes are a set at all.
func decodePartitionSet(from []byte) (s partitionSet, ok bool) {
	if len(from) != command.PartitionSetBytes {
		return s, false
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(from[8*i:])
	}
	return s, true
}

func (s *partitionSet) encode(to []byte) []byte {
	for _, word := range s {
		to = binary.LittleEndian.AppendUint64(to, word)
	}
	return to
}

func (s *partitionSet) add(number uint16) { s[number/64] |= 1 << (number % 64) }

func (s *partitionSet) has(number uint16) bool { return s[number/64]&(1<<(number%64)) != 0 }

func (s *partitionSet) empty() bool { return *s == partitionSet{} }

// covers says whether all of the other set is in this one.
func (s *partitionSet) covers(other partitionSet) bool { return other.minus(*s) == partitionSet{} }

func (s *partitionSet) and(other partitionSet) partitionSet {
	for i := range other {
		other[i] &= s[i]
	}
	return other
}

func (s *partitionSet) or(other partitionSet) partitionSet {
	for i := range other {
		other[i] |= s[i]
	}
	return other
}

func (s *partitionSet) minus(other partitionSet) partitionSet {
	for i := range other {
		other[i] = s[i] &^ other[i]
	}
	return other
}

// all gives the partitions in their order.
func (s *partitionSet) all() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(uint16(64*i + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// owned are the partitions whose keys may change.
func (s *state) owned() partitionSet {
	var owned partitionSet
	for number := range s.partitions {
		if s.partitions[number].State == Owned {
			owned.add(uint16(number))
		}
	}
	return owned
}
