package raftlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// written is a log of three batches in one segment, closed: entries 1-2, 3-4, 5-6.
func written(t *testing.T, h *harness) files {
	t.Helper()
	h.options.SegmentBytes = 4 << 10
	l := h.open()
	for i := uint64(1); i <= 5; i += 2 {
		mustStore(t, l, entries(i, i+1, 1))
	}
	if err := l.SetUint64([]byte(currentTerm), 1); err != nil {
		t.Fatal(err)
	}
	l.Close()
	return readFiles(t, h.dir)
}

func segmentName(t *testing.T, all files) string {
	t.Helper()
	for name := range all {
		if strings.HasSuffix(name, segmentSuffix) {
			return name
		}
	}
	t.Fatal("no segment")
	return ""
}

// used is where the zeros begin.
func used(data []byte) int { return len(bytes.TrimRight(data, "\x00")) }

// batchEnds are the ends of the batches in a segment that begins with entry 1.
func batchEnds(data []byte) []int {
	var ends []int
	end := 0
	for _, batch := range readTail(data, 1).batches {
		end += int(batch.bytes)
		ends = append(ends, end)
	}
	return ends
}

// with is the files with one of them changed.
func (f files) with(name string, data []byte) files {
	changed := files{}
	for n, d := range f {
		changed[n] = d
	}
	changed[name] = data
	return changed
}

// A crash may leave any part of the last write: its beginning, its end, or single sectors. What was acknowledged before
// is there, the log opens without complaint, and takes new entries.
func TestTornWritesAreCutOff(t *testing.T) {
	h := newHarness(t)
	all := written(t, h)
	name := segmentName(t, all)
	data := all[name]
	ends := batchEnds(data)
	before, end := ends[1], ends[2]
	check := func(what string, torn []byte) {
		t.Helper()
		all.with(name, torn).writeTo(t, h.dir)
		l, err := Open(h.dir, h.options)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer l.Close()
		if left := readFiles(t, h.dir)[name]; !allZero(left[before:]) {
			t.Fatalf("%s: what is left of the write may pass for a later one's", what)
		}
		mustHold(t, l, 1, 4, 1)
		mustStore(t, l, entries(5, 9, 1))
		l.Close()
		again := h.open()
		mustHold(t, again, 1, 9, 1)
		again.Close()
	}
	// Frames begin at multiples of 8, so no header straddles two sectors.
	for cut := before; cut < end; cut += 8 {
		torn := bytes.Clone(data)
		clear(torn[cut:])
		check("the end is missing", torn)
		if cut%64 == 0 {
			check("the file is short", data[:cut])
		}
	}
	for sector := before &^ (sectorBytes - 1); sector < end; sector += sectorBytes {
		torn := bytes.Clone(data)
		clear(torn[max(sector, before):min(sector+sectorBytes, end)])
		check("a sector is missing", torn)
	}
}

// The first write of a segment carries the file's header, so all of it may be torn.
func TestTornFirstWrite(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	mustStore(t, l, entries(1, 12, 1))
	l.Close()
	all := readFiles(t, h.dir)
	name := segmentName(t, all)
	check := func(torn []byte) {
		t.Helper()
		all.with(name, torn).writeTo(t, h.dir)
		l := h.open()
		mustHold(t, l, 0, 0, 0)
		mustStore(t, l, entries(1, 2, 1))
		mustHold(t, l, 1, 2, 1)
		l.Close()
	}
	end := used(all[name])
	for cut := 0; cut < end; cut += 40 {
		torn := bytes.Clone(all[name])
		clear(torn[cut:])
		check(torn)
	}
	for sector := 0; sector < end; sector += sectorBytes {
		torn := bytes.Clone(all[name])
		clear(torn[sector:min(sector+sectorBytes, end)])
		check(torn)
	}
}

// A bit that flips anywhere in the newest segment costs no acknowledged entry: the damage is reported.
func TestFlippedBitsInTheNewestSegment(t *testing.T) {
	h := newHarness(t)
	all := written(t, h)
	name := segmentName(t, all)
	end := used(all[name])
	for i := range end {
		for bit := range 8 {
			flipped := bytes.Clone(all[name])
			flipped[i] ^= 1 << bit
			if clean, damage := readTail(flipped, 1).leftover(); clean || damage == "" {
				t.Errorf("bit %d of byte %d of %d: not noticed", bit, i, end)
			}
			if bit != i%8 {
				continue
			}
			// The same from outside; it takes longer.
			all.with(name, flipped).writeTo(t, h.dir)
			_, err := Open(h.dir, h.options)
			var damage *CorruptError
			if !errors.As(err, &damage) {
				t.Errorf("bit %d of byte %d of %d: %v", bit, i, end, err)
			}
			if !bytes.Equal(readFiles(t, h.dir)[name], flipped) {
				t.Fatal("a damaged log was changed")
			}
		}
	}
}

// Zeros that were written are no missing sectors.
func TestFlippedBitsBesideZeros(t *testing.T) {
	h := newHarness(t)
	zeros := entry(1, 1)
	zeros.Data = make([]byte, 4*sectorBytes)
	l := h.open()
	mustStore(t, l, []*raft.Log{zeros, entry(2, 1)})
	l.Close()
	all := readFiles(t, h.dir)
	name := segmentName(t, all)
	flipped := bytes.Clone(all[name])
	flipped[used(flipped)-20] ^= 1
	all.with(name, flipped).writeTo(t, h.dir)
	_, err := Open(h.dir, h.options)
	var damage *CorruptError
	if !errors.As(err, &damage) {
		t.Errorf("got %v", err)
	}
}

// Where nothing was written yet, a bit does not matter.
func TestFlippedBitsBehindTheEnd(t *testing.T) {
	h := newHarness(t)
	all := written(t, h)
	name := segmentName(t, all)
	for _, i := range []int{used(all[name]) + 8, len(all[name]) - 1} {
		flipped := bytes.Clone(all[name])
		flipped[i] ^= 1
		all.with(name, flipped).writeTo(t, h.dir)
		l := h.open()
		mustHold(t, l, 1, 6, 1)
		l.Close()
	}
}

// A torn write of which more than one sector is missing, while a later batch exists, cannot be torn.
func TestAHoleBeforeALaterWriteIsDamage(t *testing.T) {
	h := newHarness(t)
	all := written(t, h)
	name := segmentName(t, all)
	ends := batchEnds(all[name])
	for _, hole := range [][2]int{{0, ends[0]}, {ends[0], ends[1]}, {ends[0], ends[1] + 8}} {
		holed := bytes.Clone(all[name])
		clear(holed[hole[0]:hole[1]])
		all.with(name, holed).writeTo(t, h.dir)
		_, err := Open(h.dir, h.options)
		var damage *CorruptError
		if !errors.As(err, &damage) {
			t.Errorf("hole %v: %v", hole, err)
		}
	}
}

// A flipped bit in an older segment is found by whoever reads the entry, at the latest.
func TestFlippedBitsInASealedSegment(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 1 << 10
	l := h.open()
	last := uint64(0)
	for len(sealedSegments(t, h.dir)) == 0 {
		last += 2
		mustStore(t, l, entries(last-1, last, 1))
	}
	l.Close()
	all := readFiles(t, h.dir)
	name := sealedSegments(t, h.dir)[0]
	for i := range used(all[name]) {
		flipped := bytes.Clone(all[name])
		flipped[i] ^= 1 << (i % 8)
		all.with(name, flipped).writeTo(t, h.dir)
		l, err := Open(h.dir, h.options)
		var damage *CorruptError
		if errors.As(err, &damage) {
			continue
		}
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		for index := uint64(1); index <= last; index++ {
			var got raft.Log
			err := l.GetLog(index, &got)
			if err == nil && !same(&got, entry(index, 1)) {
				t.Fatalf("byte %d: entry %d is wrong: %+v", i, index, got)
			}
			if err != nil && !errors.As(err, &damage) {
				t.Fatalf("byte %d: entry %d: %v", i, index, err)
			}
		}
		l.Close()
	}
}

// A damaged index may point to an entry that is whole, but another one.
func TestAnEntryInThePlaceOfAnother(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 1 << 10
	l := h.open()
	for index := uint64(1); len(sealedSegments(t, h.dir)) == 0; index++ {
		mustStore(t, l, entries(index, index, 1))
	}
	l.Close()
	all := readFiles(t, h.dir)
	name := sealedSegments(t, h.dir)[0]
	swapped := bytes.Clone(all[name])
	index := readTail(swapped, 1).indexStart
	first, second := bytes.Clone(swapped[index:index+4]), bytes.Clone(swapped[index+4:index+8])
	copy(swapped[index:], second)
	copy(swapped[index+4:], first)
	all.with(name, swapped).writeTo(t, h.dir)
	l = h.open()
	var damage *CorruptError
	if err := l.GetLog(1, &raft.Log{}); !errors.As(err, &damage) {
		t.Errorf("got %v", err)
	}
}

// sealedSegments are all but the newest.
func sealedSegments(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths[:max(len(paths)-1, 0)] {
		names = append(names, filepath.Base(path))
	}
	return names
}

func TestDamageFoundWhileReadingIsReported(t *testing.T) {
	h := newHarness(t)
	all := written(t, h)
	name := segmentName(t, all)
	l := h.open()
	// Entry 3 changes on the disk of a running node.
	path := filepath.Join(h.dir, name)
	changed := bytes.Clone(all[name])
	changed[batchEnds(changed)[0]+30] ^= 1
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *CorruptError
	if err := l.GetLog(3, &raft.Log{}); !errors.As(err, &damage) {
		t.Errorf("got %v", err)
	}
	if err := l.StoreLogs(entries(7, 7, 1)); !errors.As(err, &damage) {
		t.Errorf("a damaged log takes a write: %v", err)
	}
	if got := h.reported(); len(got) != 1 || !errors.As(got[0], &damage) {
		t.Errorf("reported %v", got)
	}
}

func TestDamagedMetadata(t *testing.T) {
	h := newHarness(t)
	all := written(t, h)
	damaged := func(t *testing.T, what string) {
		t.Helper()
		_, err := Open(h.dir, h.options)
		var damage *CorruptError
		if !errors.As(err, &damage) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{segmentsFile, stableFile} {
		for i := range all[name] {
			flipped := bytes.Clone(all[name])
			flipped[i] ^= 1 << (i % 8)
			all.with(name, flipped).writeTo(t, h.dir)
			damaged(t, name+" has a flipped bit")
		}
		all.with(name, all[name][:len(all[name])-1]).writeTo(t, h.dir)
		damaged(t, name+" is cut")
		all.writeTo(t, h.dir)
		os.Remove(filepath.Join(h.dir, name))
		damaged(t, name+" is lost")
	}
	all.writeTo(t, h.dir)
	h.open().Close()
}

func TestALostSealedSegmentIsDamage(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 1 << 10
	l := h.open()
	for i := uint64(1); i <= 40; i++ {
		mustStore(t, l, entries(i, i, 1))
	}
	l.Close()
	os.Remove(filepath.Join(h.dir, sealedSegments(t, h.dir)[0]))
	_, err := Open(h.dir, h.options)
	var damage *CorruptError
	if !errors.As(err, &damage) {
		t.Errorf("got %v", err)
	}
}
