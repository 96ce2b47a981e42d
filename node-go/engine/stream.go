package engine

import (
	"encoding/binary"
	"hash/crc32"
)

// The stream of a view: a header, the records in strictly ascending order of keys, a footer. All numbers little-endian,
// all checksums CRC-32C.
//
//	header  0        8        12       16           24         32      36
//	        | magic  | format | zero   | applied    | count    | crc   |
//	        | KVSTREAM 4 u32  | 4      | 8 u64      | 8 u64    | 4     |   crc: bytes 0 to 31
//
//	record  0     4      6      8        12        20       28      36
//	        | crc | zero | klen | vlen   | version | expiry | index | key | value |
//	        | 4   | 2    | 2    | 4      | 8       | 8      | 8     |     |       |   crc: all after it
//
//	footer  0        4     8
//	        | magic  | crc |   crc: of the whole stream before the footer
//	        | KEND   | 4   |
const (
	streamMagic       = "KVSTREAM"
	streamFooterMagic = "KEND"
	streamFormat      = 1

	streamHeaderBytes = 36
	streamRecordBytes = 36
	streamFooterBytes = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// StreamSize is the exact size of a stream of that many records whose keys and values have together contentBytes.
func StreamSize(count, contentBytes int64) int64 {
	return streamHeaderBytes + count*streamRecordBytes + contentBytes + streamFooterBytes
}

func appendStreamHeader(to []byte, applied, count uint64) []byte {
	start := len(to)
	to = append(to, streamMagic...)
	to = binary.LittleEndian.AppendUint32(to, streamFormat)
	to = binary.LittleEndian.AppendUint32(to, 0)
	to = binary.LittleEndian.AppendUint64(to, applied)
	to = binary.LittleEndian.AppendUint64(to, count)
	return binary.LittleEndian.AppendUint32(to, crc32.Checksum(to[start:], castagnoli))
}

// appendStreamRecordHeader leaves out key and value, which follow it, and whose bytes its checksum covers.
func appendStreamRecordHeader(to []byte, r Record) []byte {
	start := len(to)
	to = append(to, 0, 0, 0, 0, 0, 0)
	to = binary.LittleEndian.AppendUint16(to, uint16(len(r.Key)))
	to = binary.LittleEndian.AppendUint32(to, uint32(len(r.Value)))
	to = binary.LittleEndian.AppendUint64(to, r.Version)
	to = binary.LittleEndian.AppendUint64(to, r.Expiry)
	to = binary.LittleEndian.AppendUint64(to, r.Index)
	sum := crc32.Checksum(to[start+4:], castagnoli)
	sum = crc32.Update(sum, castagnoli, r.Key)
	sum = crc32.Update(sum, castagnoli, r.Value)
	binary.LittleEndian.PutUint32(to[start:], sum)
	return to
}

func appendStreamFooter(to []byte, sum uint32) []byte {
	to = append(to, streamFooterMagic...)
	return binary.LittleEndian.AppendUint32(to, sum)
}
