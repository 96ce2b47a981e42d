package bitcask

import (
	"encoding/binary"
	"hash/crc32"

	"kvorum/node/engine"
)

// A hint file is a sealed segment without the values, in the same order: what the key directory needs at start.
//
//	0          8        12   16      20         24      28
//	| KVHINTFL | format | id | bytes | overhead | count | count * { kind | zero | klen | offset | size | version | key } | crc |
//	| 8        | 4      | 4  | 4     | 4        | 4     | 1 + 1 + 2 + 4 + 4 + 4 + klen                                   | 4   |
//
// version is a shortVersion, 0 for a deletion. id and bytes are the segment's: a hint is only believed for exactly that file. overhead is what Engine.Stats must not
// count as dead. crc is a CRC-32C of all before it. A hint that is absent or not good costs time, never data.
const (
	hintMagic       = "KVHINTFL"
	hintFormat      = 2
	hintHeaderBytes = 28
	hintRecordBytes = 16
)

// placed is a put or delete as the key directory sees it.
type placed struct {
	key     string
	offset  uint32
	size    uint32
	version shortVersion
	delete  bool
}

// hintBuilder gathers the hint of one segment.
type hintBuilder struct {
	buffer   []byte
	count    uint32
	finished bool
}

func (h *hintBuilder) reset() {
	h.buffer = append(h.buffer[:0], make([]byte, hintHeaderBytes)...)
	h.count, h.finished = 0, false
}

func (h *hintBuilder) add(kind byte, key []byte, offset, size uint32, version shortVersion) {
	h.buffer = append(h.buffer, kind, 0)
	h.buffer = binary.LittleEndian.AppendUint16(h.buffer, uint16(len(key)))
	h.buffer = binary.LittleEndian.AppendUint32(h.buffer, offset)
	h.buffer = binary.LittleEndian.AppendUint32(h.buffer, size)
	h.buffer = binary.LittleEndian.AppendUint32(h.buffer, uint32(version))
	h.buffer = append(h.buffer, key...)
	h.count++
}

// finish returns the file's content, valid until reset.
func (h *hintBuilder) finish(id, segmentBytes, overhead uint32) []byte {
	header := h.buffer[:0:hintHeaderBytes]
	header = append(header, hintMagic...)
	header = binary.LittleEndian.AppendUint32(header, hintFormat)
	header = binary.LittleEndian.AppendUint32(header, id)
	header = binary.LittleEndian.AppendUint32(header, segmentBytes)
	header = binary.LittleEndian.AppendUint32(header, overhead)
	binary.LittleEndian.AppendUint32(header, h.count)
	h.buffer = appendSum(h.buffer)
	h.finished = true
	return h.buffer
}

// records are what was added, valid until reset.
func (h *hintBuilder) records() []byte {
	end := len(h.buffer)
	if h.finished {
		end -= 4
	}
	return h.buffer[hintHeaderBytes:end]
}

// hint is a decoded hint file: good in all its parts.
type hint struct {
	overhead uint32
	records  []byte
}

// decodeHint returns a reason when the bytes are no good hint for exactly that segment.
func decodeHint(from []byte, id, segmentBytes uint32) (hint, string) {
	if len(from) < hintHeaderBytes+4 || string(from[:8]) != hintMagic {
		return hint{}, "no hint"
	}
	body := from[:len(from)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(from[len(body):]) {
		return hint{}, "checksum of the hint"
	}
	if binary.LittleEndian.Uint32(from[8:]) != hintFormat {
		return hint{}, "unknown hint format"
	}
	if binary.LittleEndian.Uint32(from[12:]) != id || binary.LittleEndian.Uint32(from[16:]) != segmentBytes {
		return hint{}, "hint of another segment"
	}
	count := binary.LittleEndian.Uint32(from[24:])
	end := uint64(segmentHeaderBytes)
	for rest := body[hintHeaderBytes:]; len(rest) > 0; count-- {
		keyBytes, reason := checkHintRecord(rest, &end, uint64(segmentBytes))
		if reason != "" {
			return hint{}, reason
		}
		rest = rest[hintRecordBytes+keyBytes:]
	}
	if count != 0 {
		return hint{}, "number of hint records"
	}
	return hint{overhead: binary.LittleEndian.Uint32(from[20:]), records: body[hintHeaderBytes:]}, ""
}

// each calls fn with the records in their order.
func (h hint) each(fn func(placed)) {
	for rest := h.records; len(rest) > 0; {
		keyEnd := hintRecordBytes + int(binary.LittleEndian.Uint16(rest[2:]))
		fn(placed{
			key:     string(rest[hintRecordBytes:keyEnd]),
			offset:  binary.LittleEndian.Uint32(rest[4:]),
			size:    binary.LittleEndian.Uint32(rest[8:]),
			version: shortVersion(binary.LittleEndian.Uint32(rest[12:])),
			delete:  rest[0] == kindDelete,
		})
		rest = rest[keyEnd:]
	}
}

// checkHintRecord checks that the record lies in the segment behind the one before it, which ends at *end.
func checkHintRecord(body []byte, end *uint64, segmentBytes uint64) (keyBytes int, reason string) {
	if len(body) < hintRecordBytes {
		return 0, "hint record is cut short"
	}
	kind := body[0]
	keyBytes = int(binary.LittleEndian.Uint16(body[2:]))
	offset := uint64(binary.LittleEndian.Uint32(body[4:]))
	size := uint64(binary.LittleEndian.Uint32(body[8:]))
	least := uint64(recordBytes(keyBytes, 0))
	switch {
	case len(body) < hintRecordBytes+keyBytes:
		return 0, "hint record is cut short"
	case kind != kindPut && kind != kindDelete || body[1] != 0:
		return 0, "unknown kind of hint record"
	case size < least || size > least+engine.ValueBytesMax || kind == kindDelete && size != least:
		return 0, "size in a hint record"
	case kind == kindDelete && binary.LittleEndian.Uint32(body[12:]) != 0:
		return 0, "deletion with a version in a hint"
	case offset < *end || offset+size > segmentBytes:
		return 0, "place in a hint record"
	}
	*end = offset + size
	return keyBytes, ""
}
