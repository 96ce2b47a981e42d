package raftlog

import (
	"testing"

	"pgregory.net/rapid"
)

// sizes is near the exact count, within the distance of two marks, whatever happens to the log.
func TestSizesAreNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSizes(0)
		exact := map[uint64]int64{}
		first, last := uint64(1), uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch step := rapid.SampledFrom([]string{"append", "append", "append", "cut", "trim", "restart"}).Draw(t, "step"); {
			case step == "append":
				bytes := rapid.Int64Range(1, markBytes).Draw(t, "bytes")
				last++
				exact[last] = bytes
				s.append(last, bytes)
			case step == "cut" && last >= first:
				last = rapid.Uint64Range(first-1, last).Draw(t, "last")
				s.cutAfter(last)
			case step == "trim" && last >= first:
				first = rapid.Uint64Range(first, last+1).Draw(t, "first")
				s.cutBefore(first - 1)
			case step == "restart":
				last += rapid.Uint64Range(0, 1000).Draw(t, "gap")
				first = last + 1
				s.startAt(last)
			}
			checkNear(t, s, exact, first, last)
		}
	})
}

func checkNear(t *rapid.T, s *sizes, exact map[uint64]int64, first, last uint64) {
	// A cut may fall between two marks, and each leaves its own error behind.
	const tolerance = 8 * markBytes
	total := int64(0)
	for i := last; i+1 >= first && i > 0; i-- {
		if got := s.since(i); got < total-tolerance || got > total+tolerance {
			t.Fatalf("since %d of %d to %d: %d, exactly %d", i, first, last, got, total)
		}
		count := s.trailing(total)
		if count > last-first+1 {
			t.Fatalf("%d entries of %d to %d", count, first, last)
		}
		total += exact[i]
	}
	if got := s.since(last); got != 0 {
		t.Fatalf("%d bytes since the end", got)
	}
	if got := s.trailing(1 << 60); got != last+1-first {
		t.Fatalf("%d entries are all of %d to %d", got, first, last)
	}
}

func TestTrailingIsBounded(t *testing.T) {
	s := newSizes(0)
	for i := uint64(1); i <= 1000; i++ {
		s.append(i, 1000)
	}
	for _, bytes := range []int64{0, 999, 1000, 50_000, 123_456, 999_999} {
		got := int64(s.trailing(bytes))
		if got*1000 > bytes || got*1000 < bytes-1000 {
			t.Errorf("%d entries of 1000 bytes in %d bytes", got, bytes)
		}
	}
	if len(s.marks) > 1000*1000/markBytes+2 {
		t.Errorf("%d marks", len(s.marks))
	}
}
