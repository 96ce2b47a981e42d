package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// StreamReader reads what a StreamWriter wrote and accepts nothing else. All its errors are *StreamError. Not safe for
// concurrent use.
type StreamReader struct {
	from    *bufio.Reader
	offset  int64
	sum     uint32
	applied uint64
	left    uint64
	count   uint64
	last    []byte
	ended   bool
	header  [streamRecordBytes]byte
}

// NewStreamReader reads and checks the header.
func NewStreamReader(from io.Reader) (*StreamReader, error) {
	s := &StreamReader{from: bufio.NewReaderSize(from, streamBufferBytes)}
	header := s.header[:streamHeaderBytes]
	if err := s.read(header); err != nil {
		return nil, err
	}
	if string(header[:8]) != streamMagic {
		return nil, s.bad("not an engine stream")
	}
	if format := binary.LittleEndian.Uint32(header[8:]); format != streamFormat {
		return nil, s.bad(fmt.Sprintf("format %d is unknown", format))
	}
	if crc32.Checksum(header[:32], castagnoli) != binary.LittleEndian.Uint32(header[32:]) {
		return nil, s.bad("checksum of the header")
	}
	if binary.LittleEndian.Uint32(header[12:]) != 0 {
		return nil, s.bad("reserved bytes are set")
	}
	s.applied = binary.LittleEndian.Uint64(header[16:])
	s.count = binary.LittleEndian.Uint64(header[24:])
	s.left = s.count
	return s, nil
}

// Applied is the index of the view that wrote the stream.
func (s *StreamReader) Applied() uint64 { return s.applied }

// Count is the number of records.
func (s *StreamReader) Count() uint64 { return s.count }

// Next returns the next record, whose slices are the caller's, and io.EOF after the footer has been checked and r has ended.
// Only io.EOF means that the stream was whole: what came before must be thrown away on any other error.
func (s *StreamReader) Next() (Record, error) {
	if s.left == 0 {
		return Record{}, s.finish()
	}
	header := s.header[:]
	if err := s.read(header); err != nil {
		return Record{}, err
	}
	keyBytes := int(binary.LittleEndian.Uint16(header[6:]))
	valueBytes := int(binary.LittleEndian.Uint32(header[8:]))
	if valueBytes > ValueBytesMax {
		return Record{}, s.bad("value is over the limit")
	}
	content := make([]byte, keyBytes+valueBytes)
	if err := s.read(content); err != nil {
		return Record{}, err
	}
	sum := crc32.Update(crc32.Checksum(header[4:], castagnoli), castagnoli, content)
	if sum != binary.LittleEndian.Uint32(header) {
		return Record{}, s.bad("checksum of a record")
	}
	r := Record{
		Key:     content[:keyBytes:keyBytes],
		Value:   content[keyBytes:],
		Version: binary.LittleEndian.Uint64(header[12:]),
		Expiry:  binary.LittleEndian.Uint64(header[20:]),
		Index:   binary.LittleEndian.Uint64(header[28:]),
	}
	return r, s.admit(r, header)
}

// admit checks what a good checksum does not prove: that the sender kept the rules.
func (s *StreamReader) admit(r Record, header []byte) error {
	if header[4] != 0 || header[5] != 0 {
		return s.bad("reserved bytes are set")
	}
	if r.Index > s.applied {
		return s.bad("record is newer than the stream")
	}
	if s.left < s.count && bytes.Compare(r.Key, s.last) <= 0 {
		return s.bad("keys do not ascend")
	}
	s.last = append(s.last[:0], r.Key...)
	s.left--
	return nil
}

func (s *StreamReader) finish() error {
	if s.ended {
		return io.EOF
	}
	want := s.sum
	footer := s.header[:streamFooterBytes]
	if err := s.read(footer); err != nil {
		return err
	}
	if string(footer[:4]) != streamFooterMagic {
		return s.bad("no footer")
	}
	if binary.LittleEndian.Uint32(footer[4:]) != want {
		return s.bad("checksum of the stream")
	}
	switch _, err := s.from.ReadByte(); {
	case err == nil:
		return s.bad("bytes after the footer")
	case !errors.Is(err, io.EOF):
		return &StreamError{Offset: s.offset, Reason: "cannot read", Cause: err}
	}
	s.ended = true
	return io.EOF
}

func (s *StreamReader) read(to []byte) error {
	n, err := io.ReadFull(s.from, to)
	s.sum = crc32.Update(s.sum, castagnoli, to[:n])
	s.offset += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s.bad("ends too early")
	}
	if err != nil {
		return &StreamError{Offset: s.offset, Reason: "cannot read", Cause: err}
	}
	return nil
}

func (s *StreamReader) bad(reason string) error {
	return &StreamError{Offset: s.offset, Reason: reason}
}
