package raftlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

/*
An entry as raft-wal stores it, big-endian:

	 0       4       12      20      28     29        37       41        41+e
	+-------+-------+-------+-------+------+---------+--------+---------+------+
	| crc   | index | term  | batch | type | created | e      | ext     | data |
	+-------+-------+-------+-------+------+---------+--------+---------+------+

crc is the CRC-32C of all that follows it. batch is the index of the first entry that was written and fsynced together with
this one: a batch that has a later one behind it was durable, so damage in it is not a torn write (see check.go). created
is in nanoseconds since 1970, 0 when not set.

raft-wal checks no checksum when it reads an entry, and on recovery only that of the last batch. Cost of ours, measured on
a busy machine (BenchmarkCodec, BenchmarkStoreLogs): 22 ns of a fsynced append of 1.2 ms for 300 bytes, 56 us of 3.3 ms for
256 KiB.
*/

// codecID names this format in segment headers. A change of the format is a new id.
const codecID uint64 = 0x4b76_0001

const (
	crcBytes    = 4
	headerBytes = 41
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// codec is raft-wal's codec. Encode is called under raft-wal's write lock and ours.
type codec struct {
	// batch is the first index of what is being stored.
	batch uint64
}

func (c *codec) ID() uint64 { return codecID }

func (c *codec) Encode(l *raft.Log, w io.Writer) error {
	header := make([]byte, headerBytes, headerBytes+len(l.Extensions)+len(l.Data))
	putHeader(header, l, c.batch)
	encoded := append(append(header, l.Extensions...), l.Data...)
	binary.BigEndian.PutUint32(encoded, crc32.Checksum(encoded[crcBytes:], castagnoli))
	_, err := w.Write(encoded)
	return err
}

// Decode copies what it keeps, since the buffer is used again. Its error says what is wrong, not where.
func (c *codec) Decode(encoded []byte, l *raft.Log) error {
	_, err := decodeEntry(encoded, l)
	return err
}

func putHeader(header []byte, l *raft.Log, batch uint64) {
	binary.BigEndian.PutUint64(header[4:], l.Index)
	binary.BigEndian.PutUint64(header[12:], l.Term)
	binary.BigEndian.PutUint64(header[20:], batch)
	header[28] = byte(l.Type)
	created := int64(0)
	if !l.AppendedAt.IsZero() {
		created = l.AppendedAt.UnixNano()
	}
	binary.BigEndian.PutUint64(header[29:], uint64(created))
	binary.BigEndian.PutUint32(header[37:], uint32(len(l.Extensions)))
}

func decodeEntry(encoded []byte, l *raft.Log) (batch uint64, err error) {
	if len(encoded) < headerBytes {
		return 0, errEntry(fmt.Sprintf("an entry of %d bytes", len(encoded)))
	}
	if crc32.Checksum(encoded[crcBytes:], castagnoli) != binary.BigEndian.Uint32(encoded) {
		return 0, errEntry("the checksum of an entry does not match")
	}
	extensions := int(binary.BigEndian.Uint32(encoded[37:]))
	if extensions > len(encoded)-headerBytes {
		return 0, errEntry("an entry's extensions end after it")
	}
	l.Index = binary.BigEndian.Uint64(encoded[4:])
	l.Term = binary.BigEndian.Uint64(encoded[12:])
	l.Type = raft.LogType(encoded[28])
	l.AppendedAt = time.Time{}
	if created := int64(binary.BigEndian.Uint64(encoded[29:])); created != 0 {
		l.AppendedAt = time.Unix(0, created)
	}
	body := append([]byte(nil), encoded[headerBytes:]...)
	l.Extensions = nilIfEmpty(body[:extensions:extensions])
	l.Data = nilIfEmpty(body[extensions:])
	return binary.BigEndian.Uint64(encoded[20:]), nil
}

// errEntry is the reason why an entry cannot be what was written.
type errEntry string

func (e errEntry) Error() string { return string(e) }

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// entryBytes is what an entry takes in a segment, frame and padding included.
func entryBytes(l *raft.Log) int64 {
	return int64(frameSize(headerBytes + len(l.Extensions) + len(l.Data)))
}
