package bitcask

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A segment file begins with
//
//	0          8        12     16   20        24         28     32            40    44
//	| KVSEGMNT | format | kind | id | prev id | prev end | zero | prev applied | crc |
//	| 8        | 4      | 4    | 4  | 4       | 4        | 4    | 8            | 4   |   crc: CRC-32C of bytes 0 to 39
//
// A log segment is what Apply writes. It names the segment it goes on from, that one's final length, and the index applied
// there: so recovery finds the segments that no manifest lists yet, and sees when one of them or its end is missing.
// A packed segment is what Merge and Restore write: it counts only when the manifest lists it.
const (
	segmentMagic       = "KVSEGMNT"
	segmentFormat      = 1
	segmentHeaderBytes = 44

	kindLog    = 1
	kindPacked = 2
)

type segmentHeader struct {
	kind        uint32
	id          uint32
	prevID      uint32
	prevEnd     uint32
	prevApplied uint64
}

func (h segmentHeader) encode() []byte {
	to := make([]byte, 0, segmentHeaderBytes)
	to = append(to, segmentMagic...)
	to = binary.LittleEndian.AppendUint32(to, segmentFormat)
	to = binary.LittleEndian.AppendUint32(to, h.kind)
	to = binary.LittleEndian.AppendUint32(to, h.id)
	to = binary.LittleEndian.AppendUint32(to, h.prevID)
	to = binary.LittleEndian.AppendUint32(to, h.prevEnd)
	to = binary.LittleEndian.AppendUint32(to, 0)
	to = binary.LittleEndian.AppendUint64(to, h.prevApplied)
	return appendSum(to)
}

// decodeSegmentHeader returns a reason when the bytes are no good header.
func decodeSegmentHeader(from []byte) (segmentHeader, string) {
	if len(from) < segmentHeaderBytes || string(from[:8]) != segmentMagic {
		return segmentHeader{}, "no segment header"
	}
	if crc32.Checksum(from[:40], castagnoli) != binary.LittleEndian.Uint32(from[40:]) {
		return segmentHeader{}, "checksum of the segment header"
	}
	if format := binary.LittleEndian.Uint32(from[8:]); format != segmentFormat {
		return segmentHeader{}, fmt.Sprintf("segment format %d is unknown", format)
	}
	if binary.LittleEndian.Uint32(from[28:]) != 0 {
		return segmentHeader{}, "reserved bytes are set"
	}
	h := segmentHeader{
		kind:        binary.LittleEndian.Uint32(from[12:]),
		id:          binary.LittleEndian.Uint32(from[16:]),
		prevID:      binary.LittleEndian.Uint32(from[20:]),
		prevEnd:     binary.LittleEndian.Uint32(from[24:]),
		prevApplied: binary.LittleEndian.Uint64(from[32:]),
	}
	if h.kind != kindLog && h.kind != kindPacked {
		return segmentHeader{}, "unknown kind of segment"
	}
	return h, ""
}
