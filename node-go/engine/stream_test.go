package engine

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

func exampleStream(t testing.TB) []byte {
	t.Helper()
	var to bytes.Buffer
	w := NewStreamWriter(&to, 9, 2)
	for _, r := range []Record{
		{Key: []byte("a"), Value: []byte("one"), Version: 1, Expiry: 2, Index: 3},
		{Key: []byte("b"), Version: 4, Index: 9},
	} {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	n, err := w.Finish()
	if err != nil || n != int64(to.Len()) || n != StreamSize(2, 5) {
		t.Fatal(n, to.Len(), err)
	}
	return to.Bytes()
}

// The bytes of a stream are a promise to nodes of other versions.
func TestStreamGolden(t *testing.T) {
	want := strings.Join(strings.Fields(`
		4b5653545245414d 01000000 00000000 0900000000000000 0200000000000000 c6a99cd6
		07340fb6 0000 0100 03000000 0100000000000000 0200000000000000 0300000000000000 61 6f6e65
		4ad69a97 0000 0100 00000000 0400000000000000 0000000000000000 0900000000000000 62
		4b454e44 bdb711d8`), "")
	if got := hex.EncodeToString(exampleStream(t)); got != want {
		t.Errorf("got\n%s, should be\n%s", got, want)
	}
}

func TestStreamRoundTrip(t *testing.T) {
	r, err := NewStreamReader(bytes.NewReader(exampleStream(t)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Applied() != 9 || r.Count() != 2 {
		t.Fatal(r.Applied(), r.Count())
	}
	a, err := r.Next()
	if err != nil || string(a.Key) != "a" || string(a.Value) != "one" || a.Version != 1 || a.Expiry != 2 || a.Index != 3 {
		t.Fatal(a, err)
	}
	b, err := r.Next()
	if err != nil || string(b.Key) != "b" || len(b.Value) != 0 || b.Version != 4 || b.Index != 9 {
		t.Fatal(b, err)
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

func TestStreamWriterRefuses(t *testing.T) {
	write := func(keys ...string) error {
		w := NewStreamWriter(io.Discard, 1, 2)
		for _, key := range keys {
			if err := w.Write(Record{Key: []byte(key)}); err != nil {
				return err
			}
		}
		_, err := w.Finish()
		return err
	}
	for _, keys := range [][]string{{"a"}, {}, {"a", "b", "c"}, {"b", "a"}, {"a", "a"}, {"", ""}} {
		if write(keys...) == nil {
			t.Errorf("%q was written as a stream of two", keys)
		}
	}
	if err := write("", "a"); err != nil {
		t.Error(err)
	}
}

func TestStreamWriterReportsShortWrites(t *testing.T) {
	w := NewStreamWriter(shortWriter{}, 1, 0)
	if _, err := w.Finish(); !errors.Is(err, io.ErrShortWrite) {
		t.Fatal(err)
	}
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

// What passes the checksums but breaks the rules is refused too.
func TestStreamReaderRefuses(t *testing.T) {
	cases := map[string]func([]byte){
		"format":               func(s []byte) { s[8] = 2 },
		"reserved in header":   func(s []byte) { s[12] = 1 },
		"fewer than announced": func(s []byte) { s[24] = 1 },
		"more than announced":  func(s []byte) { s[24] = 3 },
		"newer than applied":   func(s []byte) { s[16] = 8 },
		"keys equal":           func(s []byte) { s[36+36+4+36] = 'a' },
		"keys descend":         func(s []byte) { s[36+36+4+36] = '0' },
		"reserved in record":   func(s []byte) { s[36+4] = 1 },
		"value over the limit": func(s []byte) { s[36+11] = 0x7f },
	}
	for name, change := range cases {
		stream := exampleStream(t)
		change(stream)
		if _, err := readAll(withStreamSums(stream)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if records, err := readAll(withStreamSums(exampleStream(t))); err != nil || len(records) != 2 {
		t.Fatal(records, err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add(exampleStream(f))
	f.Add(exampleStream(f)[:streamHeaderBytes])
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, from := range [][]byte{data, withStreamSums(data)} {
			records, err := readAll(from)
			var bad *StreamError
			if err != nil {
				if !errors.As(err, &bad) {
					t.Fatal(err)
				}
				continue
			}
			var again bytes.Buffer
			w := NewStreamWriter(&again, binary.LittleEndian.Uint64(from[16:]), uint64(len(records)))
			for _, r := range records {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Finish(); err != nil || !bytes.Equal(again.Bytes(), from) {
				t.Fatalf("%x was accepted as %x (%v)", from, again.Bytes(), err)
			}
		}
	})
}

func readAll(stream []byte) (records []Record, err error) {
	r, err := NewStreamReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, record)
	}
}

// withStreamSums puts the right checksums in, so that a test gets behind them.
func withStreamSums(stream []byte) []byte {
	s := bytes.Clone(stream)
	if len(s) < streamHeaderBytes+streamFooterBytes {
		return s
	}
	sum := func(at int, data []byte) { binary.LittleEndian.PutUint32(s[at:], crc32.Checksum(data, castagnoli)) }
	sum(32, s[:32])
	end := len(s) - streamFooterBytes
	for at := streamHeaderBytes; at+streamRecordBytes <= end; {
		size := streamRecordBytes + int(binary.LittleEndian.Uint16(s[at+6:])) + int(binary.LittleEndian.Uint32(s[at+8:]))
		next := min(end, at+size)
		sum(at, s[at+4:next])
		at = next
	}
	sum(end+4, s[:end])
	return s
}
