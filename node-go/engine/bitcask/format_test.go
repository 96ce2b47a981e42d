package bitcask

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"kvorum/node/engine"
)

// The bytes on disk are a promise to later versions: whoever changes them must raise the format and read both.
func TestGoldenBytes(t *testing.T) {
	var encoder batchEncoder
	encoder.reset(7, segmentHeaderBytes)
	encoder.put(engine.Record{Key: []byte("key"), Value: []byte("value"), Version: 2, Expiry: 3}, 9)
	encoder.delete([]byte("old"), 9)
	encoder.commit(9)
	golden(t, "batch", encoder.buffer, `
		0af7ae8c 01 00 0300 05000000 0200000000000000 0300000000000000 0900000000000000 6b6579 76616c7565
		f1a1b97f 02 00 0300 00000000 0000000000000000 0000000000000000 0900000000000000 6f6c64
		948936cf 03 00 0000 00000000 0200000000000000 5300000000000000 0900000000000000`)
	header := segmentHeader{kind: kindLog, id: 7, prevID: 6, prevEnd: 4096, prevApplied: 8}
	golden(t, "segment header", header.encode(), `
		4b565345474d4e54 01000000 01000000 07000000 06000000 00100000 00000000 0800000000000000 cbea2c7d`)
	m := manifest{nextID: 9, applied: 8, headID: 7, headEnd: 44, sealed: []manifestSegment{{id: 3, bytes: 100}, {id: 6, bytes: 4096}}}
	golden(t, "manifest", m.encode(), `
		4b564d414e494654 01000000 09000000 0800000000000000 07000000 2c000000 02000000
		03000000 64000000 06000000 00100000 e3fae4ae`)
	var hints hintBuilder
	hints.reset()
	hints.add(kindPut, []byte("key"), 44, 44, shorten(1<<32+2))
	hints.add(kindDelete, []byte("old"), 88, 39, 0)
	golden(t, "hint", hints.finish(7, 163, 44), `
		4b5648494e54464c 02000000 07000000 a3000000 2c000000 02000000
		01 00 0300 2c000000 2c000000 ffffffff 6b6579 02 00 0300 58000000 27000000 00000000 6f6c64 1d820225`)
}

func golden(t *testing.T, name string, got []byte, want string) {
	t.Helper()
	want = strings.Join(strings.Fields(want), "")
	if hex.EncodeToString(got) != want {
		t.Errorf("%s is\n%x, should be\n%s", name, got, want)
	}
}

// TestEveryFlipIsSeen: no single bit of a file that is read as a whole can change unnoticed.
func TestEveryFlipIsSeen(t *testing.T) {
	m := manifest{nextID: 9, applied: 8, headID: 7, headEnd: 44, sealed: []manifestSegment{{id: 3, bytes: 100}, {id: 6, bytes: 4096}}}
	var hints hintBuilder
	hints.reset()
	hints.add(kindPut, []byte("key"), 44, 44, shorten(1<<32+2))
	cases := map[string]struct {
		bytes  []byte
		decode func([]byte) string
	}{
		"manifest": {m.encode(), func(b []byte) string { _, reason := decodeManifest(b); return reason }},
		"hint":     {hints.finish(7, 163, 44), func(b []byte) string { _, reason := decodeHint(b, 7, 163); return reason }},
		"segment header": {
			segmentHeader{kind: kindLog, id: 7, prevID: 6, prevEnd: 4096, prevApplied: 8}.encode(),
			func(b []byte) string { _, reason := decodeSegmentHeader(b); return reason },
		},
	}
	for name, c := range cases {
		if reason := c.decode(c.bytes); reason != "" {
			t.Fatalf("%s: %s", name, reason)
		}
		for bit := range 8 * len(c.bytes) {
			flipped := bytes.Clone(c.bytes)
			flipped[bit/8] ^= 1 << (bit % 8)
			if c.decode(flipped) == "" {
				t.Errorf("%s: bit %d is not seen", name, bit)
			}
		}
	}
}

func FuzzManifest(f *testing.F) {
	m := manifest{nextID: 9, applied: 8, headID: 7, headEnd: 44, sealed: []manifestSegment{{id: 3, bytes: 100}, {id: 6, bytes: 4096}}}
	f.Add(m.encode())
	f.Add((&manifest{nextID: 2, headID: 1}).encode())
	f.Add([]byte(manifestMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, from := range [][]byte{data, withSum(data)} {
			m, reason := decodeManifest(from)
			if reason == "" && !bytes.Equal(m.encode(), from) {
				t.Fatalf("%x was accepted as %+v", from, m)
			}
		}
	})
}

func FuzzHint(f *testing.F) {
	var hints hintBuilder
	hints.reset()
	f.Add(bytes.Clone(hints.finish(7, 44, 44)), uint32(44))
	hints.reset()
	hints.add(kindPut, []byte("key"), 44, 44, shorten(1<<32+2))
	hints.add(kindDelete, []byte("old"), 88, 39, 0)
	f.Add(bytes.Clone(hints.finish(7, 163, 44)), uint32(163))
	f.Fuzz(func(t *testing.T, data []byte, segmentBytes uint32) {
		for _, from := range [][]byte{data, withSum(data)} {
			h, reason := decodeHint(from, 7, segmentBytes)
			if reason != "" {
				continue
			}
			var again hintBuilder
			again.reset()
			h.each(func(p placed) {
				kind := byte(kindPut)
				if p.delete {
					kind = kindDelete
				}
				if uint64(p.offset)+uint64(p.size) > uint64(segmentBytes) || p.offset < segmentHeaderBytes {
					t.Fatalf("%+v lies outside of the segment", p)
				}
				again.add(kind, []byte(p.key), p.offset, p.size, p.version)
			})
			if !bytes.Equal(again.finish(7, segmentBytes, h.overhead), from) {
				t.Fatalf("%x was accepted", from)
			}
		}
	})
}

func FuzzSegmentHeader(f *testing.F) {
	f.Add(segmentHeader{kind: kindLog, id: 7, prevID: 6, prevEnd: 4096, prevApplied: 8}.encode())
	f.Add(segmentHeader{kind: kindPacked, id: 7}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, from := range [][]byte{data, withSum(data)} {
			h, reason := decodeSegmentHeader(from)
			if reason == "" && !bytes.Equal(h.encode(), from[:segmentHeaderBytes]) {
				t.Fatalf("%x was accepted as %+v", from, h)
			}
		}
	})
}

// FuzzRecords scans any bytes as a segment. What a scan accepts must be exactly what the encoder writes.
func FuzzRecords(f *testing.F) {
	var encoder batchEncoder
	encoder.reset(7, segmentHeaderBytes)
	encoder.put(engine.Record{Key: []byte("key"), Value: []byte("value"), Version: 2, Expiry: 3}, 9)
	encoder.delete([]byte("old"), 9)
	encoder.commit(9)
	encoder.commit(10)
	encoder.put(engine.Record{Key: nil, Value: []byte("v")}, 11)
	encoder.commit(11)
	f.Add(bytes.Clone(encoder.buffer))
	f.Add(encoder.buffer[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		checkScan(t, data)
		checkScan(t, withRecordSums(data))
	})
}

func checkScan(t *testing.T, data []byte) {
	t.Helper()
	file := append(make([]byte, segmentHeaderBytes), data...)
	batches := scanBatches(bytes.NewReader(file), segmentHeader{kind: kindLog, id: 7}, segmentHeaderBytes, int64(len(file)), 8)
	var again batchEncoder
	again.reset(7, segmentHeaderBytes)
	for {
		r, err := batches.next()
		var fault *scanFault
		if errors.Is(err, io.EOF) || errors.As(err, &fault) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch r.kind {
		case kindPut:
			again.put(r.engineRecord(), r.index)
			checkPut(t, file, r)
		case kindDelete:
			again.delete(r.key, r.index)
		case kindCommit:
			again.commit(r.index)
		}
	}
	whole := batches.end - segmentHeaderBytes
	if !bytes.Equal(again.buffer[:whole], data[:whole]) {
		t.Fatalf("%x was accepted as %x", data[:whole], again.buffer[:whole])
	}
}

func checkPut(t *testing.T, file []byte, r record) {
	t.Helper()
	raw := file[r.offset : r.offset+r.size]
	got, reason := decodePut(raw, 7, r.offset)
	if reason != "" || !bytes.Equal(got.key, r.key) || !bytes.Equal(got.value, r.value) {
		t.Fatalf("a scan accepts %x, a Get does not: %s", raw, reason)
	}
	if _, reason := decodePut(raw, 7, r.offset+1); reason == "" {
		t.Fatalf("%x is accepted in another place", raw)
	}
	if _, reason := decodePut(raw, 8, r.offset); reason == "" {
		t.Fatalf("%x is accepted in another segment", raw)
	}
}

// withRecordSums is the same for the records of a segment.
func withRecordSums(data []byte) []byte {
	data = bytes.Clone(data)
	chain := uint32(0)
	for at := 0; at+recordHeaderBytes <= len(data); {
		r, _, _, _ := decodeHeader(data[at:])
		end := min(len(data), at+int(r.size))
		sum := placeSum(7, uint32(segmentHeaderBytes+at))
		if r.kind == kindCommit {
			sum = chainSum(sum, chain)
		}
		sum = sumOf(data[at:end], sum)
		binary.LittleEndian.PutUint32(data[at:], sum)
		if chain = chainSum(chain, sum); r.kind == kindCommit {
			chain = 0
		}
		at = end
	}
	return data
}

// withSum replaces the last four bytes by the right checksum, so that the fuzzer gets behind it.
func withSum(data []byte) []byte {
	if len(data) < 4 {
		return data
	}
	return appendSum(bytes.Clone(data[:len(data)-4]))
}

// TestIndexesGrowInALog: good batches in a wrong order are no log. In a packed segment all chunks have one index.
func TestIndexesGrowInALog(t *testing.T) {
	var encoder batchEncoder
	encoder.reset(7, segmentHeaderBytes)
	encoder.commit(9)
	first := int64(segmentHeaderBytes + len(encoder.buffer))
	encoder.commit(9)
	file := append(make([]byte, segmentHeaderBytes), encoder.buffer...)
	for kind, want := range map[uint32]int64{kindLog: first, kindPacked: int64(len(file))} {
		batches := scanBatches(bytes.NewReader(file), segmentHeader{kind: kind, id: 7}, segmentHeaderBytes, int64(len(file)), 8)
		var err error
		for err == nil {
			_, err = batches.next()
		}
		if batches.end != want || errors.Is(err, io.EOF) != (kind == kindPacked) {
			t.Errorf("kind %d: good up to %d instead of %d, %v", kind, batches.end, want, err)
		}
	}
}
