package bitcask

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

const (
	benchKeys  = 1_000_000
	benchValue = 256
)

// benchKey is 20 bytes, spread as hashed keys are.
func benchKey(to []byte, i uint64) []byte {
	to = binary.BigEndian.AppendUint64(to[:0], i*0x9e3779b97f4a7c15)
	return fmt.Appendf(to, "%012d", i)
}

// BenchmarkOpen opens 1 M keys of 20 bytes with values of 256 bytes, with hint files, and reports the memory per key.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	e := benchFill(b, dir, 100)
	if err := e.tend(context.Background()); err != nil {
		b.Fatal(err)
	}
	benchClose(b, e)
	hints, err := filepath.Glob(filepath.Join(dir, "*"+hintSuffix))
	if err != nil || len(hints) < 3 {
		b.Fatal(hints, err)
	}
	var perKey, counted float64
	for b.Loop() {
		b.StopTimer()
		before := heap()
		b.StartTimer()
		e := benchOpen(b, dir)
		b.StopTimer()
		perKey = float64(heap()-before) / benchKeys
		counted = float64(e.Stats().KeydirBytes) / benchKeys
		if keys := e.Stats().Keys; keys != benchKeys {
			b.Fatal(keys)
		}
		benchClose(b, e)
		b.StartTimer()
	}
	b.ReportMetric(perKey, "heap-B/key")
	b.ReportMetric(counted, "estimated-B/key")
}

// BenchmarkOpenWithoutHints is what a lost hint costs.
func BenchmarkOpenWithoutHints(b *testing.B) {
	dir := b.TempDir()
	benchClose(b, benchFill(b, dir, 100))
	for b.Loop() {
		b.StopTimer()
		hints, _ := filepath.Glob(filepath.Join(dir, "*"+hintSuffix))
		for _, path := range hints {
			_ = vfs.OS().Remove(path)
		}
		b.StartTimer()
		benchClose(b, benchOpen(b, dir))
	}
}

// BenchmarkApply writes batches into 1 M keys.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			e := benchFill(b, b.TempDir(), 1000)
			defer benchClose(b, e)
			batch, keys, value := engine.NewBatch(0), make([][]byte, size), make([]byte, benchValue)
			random := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset(e.Applied() + 1)
				for i := range size {
					keys[i] = benchKey(keys[i], random.Uint64N(benchKeys))
					batch.Put(engine.Record{Key: keys[i], Value: value})
				}
				if err := e.Apply(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	e := benchFill(b, b.TempDir(), 1000)
	defer benchClose(b, e)
	random := rand.New(rand.NewPCG(1, 2))
	var key []byte
	b.ReportAllocs()
	for b.Loop() {
		key = benchKey(key, random.Uint64N(benchKeys))
		if _, found, err := e.Get(key); !found || err != nil {
			b.Fatal(found, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
}

// BenchmarkStream writes the whole content in the order of keys.
func BenchmarkStream(b *testing.B) {
	e := benchFill(b, b.TempDir(), 1000)
	defer benchClose(b, e)
	v, err := e.View()
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	b.SetBytes(v.Size())
	for b.Loop() {
		if _, err := v.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	source := benchFill(b, b.TempDir(), 1000)
	var stream bytes.Buffer
	v, err := source.View()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := v.WriteTo(&stream); err != nil {
		b.Fatal(err)
	}
	_ = v.Close()
	benchClose(b, source)
	b.SetBytes(int64(stream.Len()))
	for b.Loop() {
		e := benchOpen(b, b.TempDir())
		if _, err := e.Restore(bytes.NewReader(stream.Bytes())); err != nil {
			b.Fatal(err)
		}
		benchClose(b, e)
	}
}

// BenchmarkMerge rewrites 1 M keys of which each has been written twice, and reports how long an Apply takes meanwhile.
func BenchmarkMerge(b *testing.B) {
	var applies []time.Duration
	for b.Loop() {
		b.StopTimer()
		e := benchFill(b, b.TempDir(), 1000)
		benchWrite(b, e, 1000)
		done := make(chan error, 1)
		b.StartTimer()
		go func() { done <- e.Merge(context.Background()) }()
		applies = append(applies, benchApplyUntil(b, e, done)...)
		b.StopTimer()
		benchClose(b, e)
		b.StartTimer()
	}
	slices.Sort(applies)
	b.ReportMetric(float64(applies[len(applies)*999/1000].Microseconds()), "apply-p99.9-us")
	b.ReportMetric(float64(applies[len(applies)-1].Microseconds()), "apply-max-us")
}

func benchApplyUntil(b *testing.B, e *Engine, done chan error) (applies []time.Duration) {
	b.Helper()
	batch, value := engine.NewBatch(0), make([]byte, benchValue)
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			return applies
		default:
		}
		batch.Reset(e.Applied() + 1)
		batch.Put(engine.Record{Key: benchKey(nil, batch.Index%benchKeys), Value: value})
		start := e.clock.Now()
		if err := e.Apply(batch); err != nil {
			b.Fatal(err)
		}
		applies = append(applies, e.clock.Since(start))
	}
}

func benchOpen(b *testing.B, dir string) *Engine {
	b.Helper()
	e, err := Open(dir, Options{Idle: true})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func benchFill(b *testing.B, dir string, perBatch int) *Engine {
	b.Helper()
	e := benchOpen(b, dir)
	benchWrite(b, e, perBatch)
	return e
}

func benchWrite(b *testing.B, e *Engine, perBatch int) {
	b.Helper()
	batch, value := engine.NewBatch(0), make([]byte, benchValue)
	for i := range uint64(benchKeys) {
		if batch.Len() == 0 {
			batch.Reset(e.Applied() + 1)
		}
		batch.Put(engine.Record{Key: benchKey(nil, i), Value: value})
		if batch.Len() < perBatch {
			continue
		}
		if err := e.Apply(batch); err != nil {
			b.Fatal(err)
		}
		batch.Reset(0)
	}
}

func benchClose(b *testing.B, e *Engine) {
	b.Helper()
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
