package bitcask

import (
	"encoding/binary"
	"hash/crc32"

	"kvorum/node/engine"
)

// A segment's records. All numbers little-endian, all checksums CRC-32C.
//
//	        0     4      5      6      8      12        20       28      36
//	put     | crc | 1    | zero | klen | vlen | version | expiry | index | key | value |
//	delete  | crc | 2    | zero | klen | 0    | 0       | 0      | index | key |
//	commit  | crc | 3    | zero | 0    | 0    | count   | bytes  | index |
//	        | 4   | 1    | 1    | 2    | 4    | 8       | 8      | 8     |
//
// crc covers everything after it, preceded by the segment's id and the record's offset: bytes that are good but in the
// wrong place (a block of an older file, a record inside a value) are not taken for a record.
//
// A batch is its puts and deletes and then a commit, which has their number and bytes; index is the new applied index. The
// crc of a commit is also preceded by a checksum over the checksums of its records, so that a batch is whole or invalid.
// In a log segment the records have the index of their commit; in a packed one that of their own batch long ago.
const (
	kindPut    = 1
	kindDelete = 2
	kindCommit = 3

	recordHeaderBytes = 36
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is a decoded record of any kind, and where it lies.
type record struct {
	kind    byte
	key     []byte
	value   []byte
	version uint64
	expiry  uint64
	index   uint64
	offset  uint32
	size    uint32
	sum     uint32
}

func (r *record) engineRecord() engine.Record {
	return engine.Record{Key: r.key, Value: r.value, Version: r.version, Expiry: r.expiry, Index: r.index}
}

// appendSum ends a file or header with the checksum of it.
func appendSum(to []byte) []byte {
	return binary.LittleEndian.AppendUint32(to, crc32.Checksum(to, castagnoli))
}

func recordBytes(keyBytes, valueBytes int) int { return recordHeaderBytes + keyBytes + valueBytes }

// placeSum is what every checksum of a record begins with.
func placeSum(segment, offset uint32) uint32 {
	var place [8]byte
	binary.LittleEndian.PutUint32(place[:], segment)
	binary.LittleEndian.PutUint32(place[4:], offset)
	return crc32.Checksum(place[:], castagnoli)
}

func chainSum(chain, sum uint32) uint32 {
	var word [4]byte
	binary.LittleEndian.PutUint32(word[:], sum)
	return crc32.Update(chain, castagnoli, word[:])
}

// batchEncoder lays batches out for one place in one segment.
type batchEncoder struct {
	buffer  []byte
	segment uint32
	base    uint32 // offset of buffer[0]
	start   int    // of the present batch in buffer
	count   uint64
	chain   uint32
}

func (b *batchEncoder) reset(segment, base uint32) {
	*b = batchEncoder{buffer: b.buffer[:0], segment: segment, base: base}
}

// put returns the record's offset in the segment.
func (b *batchEncoder) put(r engine.Record, index uint64) uint32 {
	start := b.header(kindPut, len(r.Key), len(r.Value), r.Version, r.Expiry, index)
	b.buffer = append(b.buffer, r.Key...)
	b.buffer = append(b.buffer, r.Value...)
	b.finish(start, b.place(start))
	return b.base + uint32(start)
}

func (b *batchEncoder) delete(key []byte, index uint64) {
	start := b.header(kindDelete, len(key), 0, 0, 0, index)
	b.buffer = append(b.buffer, key...)
	b.finish(start, b.place(start))
}

// commit ends the batch; the next record begins another one.
func (b *batchEncoder) commit(index uint64) {
	batchBytes := uint64(len(b.buffer) - b.start)
	chain, count := b.chain, b.count
	start := b.header(kindCommit, 0, 0, count, batchBytes, index)
	b.finish(start, chainSum(b.place(start), chain))
	b.start, b.count, b.chain = len(b.buffer), 0, 0
}

func (b *batchEncoder) place(start int) uint32 { return placeSum(b.segment, b.base+uint32(start)) }

func (b *batchEncoder) header(kind byte, keyBytes, valueBytes int, version, expiry, index uint64) int {
	start := len(b.buffer)
	b.buffer = append(b.buffer, 0, 0, 0, 0, kind, 0)
	b.buffer = binary.LittleEndian.AppendUint16(b.buffer, uint16(keyBytes))
	b.buffer = binary.LittleEndian.AppendUint32(b.buffer, uint32(valueBytes))
	b.buffer = binary.LittleEndian.AppendUint64(b.buffer, version)
	b.buffer = binary.LittleEndian.AppendUint64(b.buffer, expiry)
	b.buffer = binary.LittleEndian.AppendUint64(b.buffer, index)
	return start
}

func (b *batchEncoder) finish(start int, seed uint32) {
	sum := crc32.Update(seed, castagnoli, b.buffer[start+4:])
	binary.LittleEndian.PutUint32(b.buffer[start:], sum)
	b.chain = chainSum(b.chain, sum)
	b.count++
}

// decodeHeader reads a record's header and checks all that can be known without the rest of it. reason is "" when good.
func decodeHeader(header []byte) (r record, keyBytes, valueBytes int, reason string) {
	r = record{
		kind:    header[4],
		version: binary.LittleEndian.Uint64(header[12:]),
		expiry:  binary.LittleEndian.Uint64(header[20:]),
		index:   binary.LittleEndian.Uint64(header[28:]),
		sum:     binary.LittleEndian.Uint32(header),
	}
	keyBytes = int(binary.LittleEndian.Uint16(header[6:]))
	valueBytes = int(binary.LittleEndian.Uint32(header[8:]))
	switch {
	case r.kind < kindPut || r.kind > kindCommit || header[5] != 0:
		reason = "no record here"
	case valueBytes > engine.ValueBytesMax:
		reason = "value over the limit"
	case r.kind != kindPut && valueBytes != 0, r.kind == kindCommit && keyBytes != 0:
		reason = "lengths do not fit the kind of record"
	case r.kind == kindDelete && (r.version != 0 || r.expiry != 0):
		reason = "deletion with a version"
	}
	r.size = uint32(recordBytes(keyBytes, valueBytes))
	return r, keyBytes, valueBytes, reason
}

// decodePut reads a record that must be a put and fill raw, as a key directory's entry says. Its slices are raw's.
func decodePut(raw []byte, segment, offset uint32) (record, string) {
	if len(raw) < recordHeaderBytes {
		return record{}, "record is cut short"
	}
	r, keyBytes, _, reason := decodeHeader(raw[:recordHeaderBytes])
	if reason != "" {
		return record{}, reason
	}
	if int(r.size) != len(raw) {
		return record{}, "record has another length"
	}
	if crc32.Update(placeSum(segment, offset), castagnoli, raw[4:]) != r.sum {
		return record{}, "checksum of a record"
	}
	if r.kind != kindPut {
		return record{}, "record is no put"
	}
	r.offset = offset
	keyEnd := recordHeaderBytes + keyBytes
	r.key, r.value = raw[recordHeaderBytes:keyEnd:keyEnd], raw[keyEnd:]
	return r, ""
}
