package engine

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const streamBufferBytes = 256 << 10

// StreamWriter writes the stream of a view. Not safe for concurrent use.
type StreamWriter struct {
	to      io.Writer
	buffer  []byte
	written int64
	sum     uint32
	count   uint64
	left    uint64
	last    []byte
	err     error
}

// NewStreamWriter begins a stream of exactly count records.
func NewStreamWriter(to io.Writer, applied, count uint64) *StreamWriter {
	w := &StreamWriter{to: to, count: count, left: count, buffer: make([]byte, 0, streamBufferBytes)}
	w.buffer = appendStreamHeader(w.buffer, applied, count)
	return w
}

// Write appends a record. Keys must ascend: the receiver refuses anything else, so this refuses to send it.
func (w *StreamWriter) Write(r Record) error {
	if w.err != nil {
		return w.err
	}
	if w.left == 0 {
		w.err = errors.New("stream: more records than announced")
		return w.err
	}
	if w.left < w.count && bytes.Compare(r.Key, w.last) <= 0 {
		w.err = fmt.Errorf("stream: key %q after %q", r.Key, w.last)
		return w.err
	}
	w.left--
	w.last = append(w.last[:0], r.Key...)
	w.buffer = appendStreamRecordHeader(w.buffer, r)
	w.buffer = append(w.buffer, r.Key...)
	w.buffer = append(w.buffer, r.Value...)
	if len(w.buffer) >= streamBufferBytes {
		w.flush()
	}
	return w.err
}

// Finish writes the footer and returns the size of the whole stream.
func (w *StreamWriter) Finish() (int64, error) {
	if w.err == nil && w.left > 0 {
		w.err = fmt.Errorf("stream: %d records fewer than announced", w.left)
	}
	w.flush()
	w.buffer = appendStreamFooter(w.buffer, w.sum)
	w.flush()
	return w.written, w.err
}

func (w *StreamWriter) flush() {
	if w.err != nil {
		return
	}
	w.sum = crc32.Update(w.sum, castagnoli, w.buffer)
	n, err := w.to.Write(w.buffer)
	w.written += int64(n)
	if err == nil && n < len(w.buffer) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("stream: %w", err)
	}
	w.buffer = w.buffer[:0]
}
