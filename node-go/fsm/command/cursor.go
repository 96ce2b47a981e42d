package command

import "google.golang.org/protobuf/encoding/protowire"

// What is behind a tag of one byte, as the fields 1 to 15 have: it is their number, shifted by three, and one of these.
const (
	varint    = byte(protowire.VarintType)
	delimited = byte(protowire.BytesType)
)

// cursor reads a message from its beginning. What it gives once it is lost is of no use.
type cursor struct {
	rest []byte
	lost bool
}

func (c *cursor) more() bool { return len(c.rest) > 0 && !c.lost }

// tag is only for when there is more.
func (c *cursor) tag() byte {
	tag := c.rest[0]
	c.rest = c.rest[1:]
	return tag
}

func (c *cursor) uint64() uint64 {
	// Most numbers are small.
	if len(c.rest) > 0 && c.rest[0] < 0x80 {
		number := c.rest[0]
		c.rest = c.rest[1:]
		return uint64(number)
	}
	number, n := protowire.ConsumeVarint(c.rest)
	c.skip(n)
	return number
}

// uint32 cuts what is larger, as proto.Unmarshal does.
func (c *cursor) uint32() uint32 { return uint32(c.uint64()) }

func (c *cursor) bool() bool { return protowire.DecodeBool(c.uint64()) }

// bytes are those of the data, clipped.
func (c *cursor) bytes() []byte {
	size := c.uint64()
	if c.lost || size > uint64(len(c.rest)) {
		c.lost = true
		return nil
	}
	found := c.rest[:size:size]
	c.rest = c.rest[size:]
	return found
}

// skip is told of n < 0 when there is nothing that could be skipped.
func (c *cursor) skip(n int) {
	if n < 0 {
		c.lost = true
		return
	}
	c.rest = c.rest[n:]
}

// slab gives out the elements of a piece of memory, and of another one when it is used up.
type slab[T any] struct {
	all  []T
	used int
}

// slabMost bounds what is made ahead, as what comes next may be of another kind, and what is kept.
const slabMost = 256

// next is an element that is zero, of about so many that are wanted.
func (s *slab[T]) next(wanted int) *T {
	if s.used == len(s.all) {
		*s = slab[T]{all: make([]T, min(wanted, slabMost))}
	}
	s.used++
	return &s.all[s.used-1]
}

// reset takes all elements back.
func (s *slab[T]) reset() {
	clear(s.all[:s.used])
	s.used = 0
}

// own has the parts refer to a copy of them all, each clipped to its own bytes. What is empty is nil, as proto.Unmarshal has it.
func own(parts ...*[]byte) {
	size := 0
	for _, part := range parts {
		size += len(*part)
	}
	copies := make([]byte, 0, size)
	for _, part := range parts {
		if len(*part) == 0 {
			*part = nil
			continue
		}
		at := len(copies)
		copies = append(copies, *part...)
		*part = copies[at:len(copies):len(copies)]
	}
}
