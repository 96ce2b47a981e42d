package raftlog

import (
	"encoding/binary"
	"hash/crc32"
)

/*
A segment as raft-wal writes it (its segment/format.go), little-endian: a header of 32 bytes, then frames of 8 bytes and a
payload that is padded to 8:

	 0      1            4                8
	+------+------------+----------------+------------------+
	| type | 0          | length or crc  | payload, padding |
	+------+------------+----------------+------------------+

Each write is one batch: entry frames, perhaps the index frame that seals the segment, and a commit frame whose crc covers
the batch from the end of the one before (the first from the start of the file). What was not written yet is zero.
*/

const (
	frameEntry  = 1
	frameIndex  = 2
	frameCommit = 3

	fileHeaderBytes  = 32
	frameHeaderBytes = 8
	sectorBytes      = 512
)

func frameSize(payload int) int { return frameHeaderBytes + (payload+7)&^7 }

// tail is what a segment file holds in whole batches.
type tail struct {
	data []byte
	// end of the last whole batch; 0 if there is none.
	end int
	// last is the index of the last entry in a whole batch, base-1 if there is none.
	last uint64
	// indexStart is where the index frame's payload begins, 0 if the segment is not sealed.
	indexStart int
	// batches are the last index and the bytes of each.
	batches []mark
}

// readTail walks the batches from the start and stops at the first that is not whole.
func readTail(data []byte, base uint64) *tail {
	t := &tail{data: data, last: base - 1}
	for t.readBatch() {
	}
	return t
}

func (t *tail) readBatch() bool {
	at, last, indexStart := max(t.end, fileHeaderBytes), t.last, t.indexStart
	for {
		kind, value, ok := t.frameAt(at)
		if !ok {
			return false
		}
		switch kind {
		case frameEntry:
			last++
			at += frameSize(value)
		case frameIndex:
			indexStart = at + frameHeaderBytes
			at += frameSize(value)
		case frameCommit:
			if crc32.Checksum(t.data[t.end:at], castagnoli) != uint32(value) {
				return false
			}
			t.batches = append(t.batches, mark{index: last, bytes: int64(at + frameHeaderBytes - t.end)})
			t.end, t.last, t.indexStart = at+frameHeaderBytes, last, indexStart
			return true
		}
	}
}

// frameAt reads a frame's header; value is the length, or a commit's crc. ok is false if no whole frame can be there.
func (t *tail) frameAt(at int) (kind byte, value int, ok bool) {
	if at+frameHeaderBytes > len(t.data) {
		return 0, 0, false
	}
	header := t.data[at : at+frameHeaderBytes]
	kind, value = header[0], int(binary.LittleEndian.Uint32(header[4:]))
	switch {
	case header[1] != 0 || header[2] != 0 || header[3] != 0:
		return 0, 0, false
	case kind == frameCommit:
		return kind, value, true
	case kind != frameEntry && kind != frameIndex:
		return 0, 0, false
	}
	return kind, value, value <= len(t.data)-at-frameHeaderBytes
}

// leftover says what follows the last whole batch. clean: nothing. Otherwise damage says why it cannot be a torn write, and
// is empty if it can.
//
// Raft-wal fsyncs each batch before it begins the next, into a file of zeros. So after a crash there is at most one batch
// that is not whole, and sectors of it that did not reach the disk are zero. What is left over is damage
//   - if it holds an entry of a later batch: then the broken one had been durable; or
//   - if it reaches up to a commit frame and no sector is missing: then it was written completely, and is wrong.
func (t *tail) leftover() (clean bool, damage string) {
	used := len(t.data)
	for used > t.end && t.data[used-1] == 0 {
		used--
	}
	if used == t.end {
		return true, ""
	}
	whole, later := t.wholeEntries()
	if later {
		return false, "entries of a later write follow a broken one"
	}
	lastFrame := (used - 1) &^ 7
	if t.endsInCommit(lastFrame) && !t.sectorMissing(lastFrame, whole) {
		return false, "the checksum of the last write does not match, and no part of it is missing"
	}
	return false, ""
}

// endsInCommit says whether the last frame is a commit frame: by its type, or, if that is damaged, by its checksum.
func (t *tail) endsInCommit(lastFrame int) bool {
	if lastFrame < max(t.end, fileHeaderBytes) || lastFrame+frameHeaderBytes > len(t.data) {
		return false
	}
	kind, _, ok := t.frameAt(lastFrame)
	if ok && kind == frameCommit {
		return true
	}
	return crc32.Checksum(t.data[t.end:lastFrame], castagnoli) == binary.LittleEndian.Uint32(t.data[lastFrame+4:])
}

// wholeEntries finds the undamaged entries after the last whole batch, and says whether one is of a later batch than the
// first that is broken. It looks everywhere a frame may begin, because lengths may be damaged.
func (t *tail) wholeEntries() (whole [][2]int, later bool) {
	// No log has so many entries in one segment; it keeps the search from taking chance bytes for an entry.
	const maxEntries = 1 << 24
	next := t.last + 1
	for at := max(t.end, fileHeaderBytes); at+frameHeaderBytes+headerBytes <= len(t.data); at += 8 {
		kind, length, ok := t.frameAt(at)
		if !ok || kind != frameEntry || length < headerBytes {
			continue
		}
		payload := t.data[at+frameHeaderBytes : at+frameHeaderBytes+length]
		index, batch := binary.BigEndian.Uint64(payload[4:]), binary.BigEndian.Uint64(payload[20:])
		if index < next || index-next > maxEntries || batch > index || batch < next {
			continue
		}
		if crc32.Checksum(payload[crcBytes:], castagnoli) != binary.BigEndian.Uint32(payload) {
			continue
		}
		if batch > next {
			return nil, true
		}
		whole = append(whole, [2]int{at, at + frameSize(length)})
		at += frameSize(length) - 8
	}
	return whole, false
}

// sectorMissing says whether a sector between the last whole batch and `until` holds only zeros that no undamaged entry
// accounts for.
func (t *tail) sectorMissing(until int, whole [][2]int) bool {
	for start := t.end; start < until; {
		end := min(start&^(sectorBytes-1)+sectorBytes, until)
		if allZero(t.data[start:end]) && !covered(whole, start, end) {
			return true
		}
		start = end
	}
	return false
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func covered(ranges [][2]int, start, end int) bool {
	for _, r := range ranges {
		if r[0] <= start && end <= r[1] {
			return true
		}
	}
	return false
}
