package raftlog

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func encode(t testing.TB, l *raft.Log, batch uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := (&codec{batch: batch}).Encode(l, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The bytes on the disk must not change within a codec id.
func TestEntryGolden(t *testing.T) {
	l := &raft.Log{
		Index: 5, Term: 3, Type: raft.LogConfiguration, AppendedAt: time.Unix(0, 0x10), Extensions: []byte("x"), Data: []byte("yz"),
	}
	want := "4e30d473" + "0000000000000005" + "0000000000000003" + "0000000000000004" + "05" +
		"0000000000000010" + "00000001" + "78" + "797a"
	if got := hex.EncodeToString(encode(t, l, 4)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestEntryRoundTrip(t *testing.T) {
	for _, l := range []*raft.Log{
		{},
		{Index: 1, Term: 2, Type: raft.LogNoop},
		{Index: 1 << 60, Term: 1 << 61, Type: raft.LogBarrier, Data: []byte{0}, Extensions: []byte{0}},
		entry(7, 3),
	} {
		var got raft.Log
		encoded := encode(t, l, l.Index)
		if err := (&codec{}).Decode(encoded, &got); err != nil || !same(&got, l) {
			t.Errorf("got %+v, %v; want %+v", got, err, l)
		}
		// raft-wal uses its buffer again.
		clear(encoded)
		if !same(&got, l) {
			t.Error("what was decoded refers to the buffer")
		}
	}
}

func TestDamagedEntriesAreRefused(t *testing.T) {
	encoded := encode(t, entry(7, 3), 7)
	for i := range encoded {
		for bit := range 8 {
			damaged := bytes.Clone(encoded)
			damaged[i] ^= 1 << bit
			if err := (&codec{}).Decode(damaged, &raft.Log{}); err == nil {
				t.Fatalf("bit %d of byte %d flipped: accepted", bit, i)
			}
		}
		if err := (&codec{}).Decode(encoded[:i], &raft.Log{}); err == nil {
			t.Fatalf("cut at %d: accepted", i)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(encode(f, entry(7, 3), 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l raft.Log
		batch, err := decodeEntry(data, &l)
		if err == nil && !bytes.Equal(encode(t, &l, batch), data) {
			t.Errorf("%+v has two encodings", l)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	for name, size := range map[string]int{"300": 300, "256KiB": 256 << 10} {
		l := &raft.Log{Index: 1, Term: 1, Data: make([]byte, size)}
		b.Run("encode/"+name, func(b *testing.B) {
			b.SetBytes(int64(size))
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				if err := (&codec{}).Encode(l, &out); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("checksum/"+name, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				crc32.Checksum(l.Data, castagnoli)
			}
		})
		b.Run("decode/"+name, func(b *testing.B) {
			b.SetBytes(int64(size))
			encoded := encode(b, l, 1)
			var got raft.Log
			for b.Loop() {
				if err := (&codec{}).Decode(encoded, &got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
