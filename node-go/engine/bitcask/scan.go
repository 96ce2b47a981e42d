package bitcask

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const scanBufferBytes = 256 << 10

// scanFault says that the bytes at offset are not the records they should be. Whether that is a torn tail or damage is for
// the caller to decide: only the manifest tells.
type scanFault struct {
	offset int64
	reason string
}

func (f *scanFault) Error() string { return fmt.Sprintf("offset %d: %s", f.offset, f.reason) }

// recordScanner reads the records of one segment in their order and checks each of them.
type recordScanner struct {
	from    *bufio.Reader
	segment uint32
	offset  int64
	end     int64
	buffer  []byte
}

// scanRecords begins at offset, a record's, and reads up to end.
func scanRecords(file io.ReaderAt, segment uint32, offset, end int64) *recordScanner {
	size := max(0, end-offset)
	from := bufio.NewReaderSize(io.NewSectionReader(file, offset, size), int(min(size, scanBufferBytes)))
	return &recordScanner{from: from, segment: segment, offset: offset, end: end}
}

// next returns the next record, whose slices are valid until the next call. io.EOF when the last one ends at the end; a
// *scanFault when there is no good record; any other error is the file's.
func (s *recordScanner) next() (record, error) {
	if s.offset == s.end {
		return record{}, io.EOF
	}
	if s.end-s.offset < recordHeaderBytes {
		return record{}, s.fault("record is cut short")
	}
	s.buffer = append(s.buffer[:0], make([]byte, recordHeaderBytes)...)
	if err := s.read(s.buffer); err != nil {
		return record{}, err
	}
	r, keyBytes, _, reason := decodeHeader(s.buffer)
	if reason != "" {
		return record{}, s.fault(reason)
	}
	if int64(r.size) > s.end-s.offset {
		return record{}, s.fault("record is cut short")
	}
	s.buffer = append(s.buffer, make([]byte, int(r.size)-recordHeaderBytes)...)
	if err := s.read(s.buffer[recordHeaderBytes:]); err != nil {
		return record{}, err
	}
	r.offset = uint32(s.offset)
	// The checksum of a commit needs its batch: see batchScanner.
	if r.kind != kindCommit && sumOf(s.buffer, placeSum(s.segment, r.offset)) != r.sum {
		return record{}, s.fault("checksum of a record")
	}
	keyEnd := recordHeaderBytes + keyBytes
	r.key, r.value = s.buffer[recordHeaderBytes:keyEnd], s.buffer[keyEnd:]
	s.offset += int64(r.size)
	return r, nil
}

func (s *recordScanner) read(to []byte) error {
	_, err := io.ReadFull(s.from, to)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s.fault("file is shorter than it was")
	}
	return err
}

func (s *recordScanner) fault(reason string) error {
	return &scanFault{offset: s.offset, reason: reason}
}

func sumOf(raw []byte, seed uint32) uint32 { return crc32.Update(seed, castagnoli, raw[4:]) }

// batchScanner follows the records of a segment and checks each commit against its batch.
type batchScanner struct {
	records *recordScanner
	kind    uint32 // of the segment
	applied uint64 // of the last good commit
	end     int64  // of the last good batch
	commits int64  // bytes of good commits
	start   int64
	count   uint64
	chain   uint32
	newest  uint64 // greatest index in the batch
}

// scanBatches begins at offset, a batch's, where the index `applied` is applied.
func scanBatches(file io.ReaderAt, header segmentHeader, offset, end int64, applied uint64) *batchScanner {
	records := scanRecords(file, header.id, offset, end)
	return &batchScanner{records: records, kind: header.kind, applied: applied, start: offset, end: offset}
}

// next returns the next record; once it returns a commit, the records before it are whole. Errors are as recordScanner's.
func (b *batchScanner) next() (record, error) {
	r, err := b.records.next()
	if errors.Is(err, io.EOF) && b.count > 0 {
		return record{}, &scanFault{offset: b.start, reason: "batch without its commit"}
	}
	if err != nil {
		return record{}, err
	}
	if r.kind != kindCommit {
		if b.kind == kindLog && b.count > 0 && r.index != b.newest {
			return record{}, &scanFault{offset: int64(r.offset), reason: "record of another batch"}
		}
		b.chain, b.newest = chainSum(b.chain, r.sum), max(b.newest, r.index)
		b.count++
		return r, nil
	}
	if reason := b.checkCommit(r); reason != "" {
		return record{}, &scanFault{offset: int64(r.offset), reason: reason}
	}
	b.applied, b.end = r.index, b.records.offset
	b.commits += int64(r.size)
	b.start, b.count, b.chain, b.newest = b.records.offset, 0, 0, 0
	return r, nil
}

func (b *batchScanner) checkCommit(r record) string {
	seed := chainSum(placeSum(b.records.segment, r.offset), b.chain)
	switch {
	case sumOf(b.records.buffer, seed) != r.sum:
		return "checksum of a commit"
	case r.version != b.count || r.expiry != uint64(int64(r.offset)-b.start):
		return "commit of another batch"
	case b.kind == kindLog && r.index <= b.applied:
		return "commit is out of order"
	case b.newest > r.index, b.kind == kindLog && b.count > 0 && b.newest != r.index:
		return "commit does not fit its records"
	}
	return ""
}
