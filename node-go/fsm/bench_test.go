package fsm

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/engine/bitcask"
	pb "kvorum/node/gen/command"
)

// BenchmarkApply is one entry, overwriting keys of 20 bytes with values of 256, on a real disk.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d-puts", size), func(b *testing.B) {
			e, err := bitcask.Open(b.TempDir(), bitcask.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			f := newFSM(b, e)
			apply(b, f, 1, everything(1))
			entries := make([]*raft.Log, 200)
			for i := range entries {
				list := make([]*pb.Write, size)
				for j := range list {
					list[j] = put(fmt.Sprintf("key-%016d", (i*size+j)%10000), string(make([]byte, 256)))
				}
				entries[i] = entry(b, 0, writes(list...))
			}
			b.ReportAllocs()
			index := uint64(1)
			for b.Loop() {
				index++
				log := *entries[index%uint64(len(entries))]
				log.Index = index
				f.Apply(&log)
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	e, err := bitcask.Open(b.TempDir(), bitcask.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	f := newFSM(b, e)
	apply(b, f, 1, everything(1))
	apply(b, f, 2, writes(put("key", string(make([]byte, 256)))))
	b.ReportAllocs()
	for b.Loop() {
		if _, found, err := f.Get([]byte("key")); !found || err != nil {
			b.Fatal(err)
		}
	}
}
