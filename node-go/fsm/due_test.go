package fsm

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

func TestDueIsInOrderAndBounded(t *testing.T) {
	f, _ := newest(t)
	var list []*pb.Write
	for n := range DueKeysMax + 10 {
		list = append(list, mortal(fmt.Sprintf("k%d", n), "v", uint64(1+(n*7)%(DueKeysMax+10))))
	}
	must(t, f, writes(list...))
	due, err := f.Due(0)
	if err != nil || len(due.Keys) > 0 || due.Next != 1 {
		t.Fatalf("%+v %v", due, err)
	}
	if due, err = f.Due(5); err != nil || len(due.Keys) != 5 || due.Next != 6 || string(due.Keys[0]) != "k0" {
		t.Fatalf("%q next %d, error %v", due.Keys, due.Next, err)
	}
	if due, err = f.Due(math.MaxUint64); err != nil || len(due.Keys) != DueKeysMax || due.Next != DueKeysMax+1 {
		t.Fatalf("%d, next %d, error %v", len(due.Keys), due.Next, err)
	}
	must(t, f, at(1_000, writes(mortal(string(make([]byte, KeyBytesMax)), "v", 1))))
	long := 0
	for n := range 30 {
		key := append(bytes.Repeat([]byte{'l'}, KeyBytesMax-2), byte('a'+n/26), byte('a'+n%26))
		must(t, f, writes(mortal(string(key), "v", 1)))
		long += len(key)
	}
	total := 0
	if due, err = f.Due(math.MaxUint64); err != nil {
		t.Fatal(err)
	}
	for _, key := range due.Keys {
		total += len(key)
	}
	if total > dueBytesMax+KeyBytesMax {
		t.Fatalf("%d bytes at once", total)
	}
}

func TestWhoWaitsIsWokenByWhatIsDueSooner(t *testing.T) {
	f, _ := newest(t)
	rung := func(due Due) bool {
		select {
		case <-due.Sooner:
			return true
		default:
			return false
		}
	}
	due := func() Due {
		d, err := f.Due(0)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := due()
	must(t, f, writes(put("k", "v")))
	if rung(d) {
		t.Fatal("woken by a key that lives for ever")
	}
	must(t, f, writes(mortal("k", "v", 100)))
	if !rung(d) {
		t.Fatal("not woken by the first key")
	}
	d = due()
	must(t, f, writes(mortal("l", "v", 200), touch("k", 100)))
	if rung(d) {
		t.Fatal("woken by what is due later")
	}
	must(t, f, writes(touch("l", 99)))
	if !rung(d) {
		t.Fatal("not woken by what is due sooner")
	}
	d = due()
	must(t, f, move(stepFreeze, 2, span(5, 5)))
	if !rung(d) {
		t.Fatal("not woken by a change of ownership")
	}
}

// countedEngine counts the keys that Select looks at.
type countedEngine struct {
	engine.Engine
	looked int
}

type countedView struct {
	engine.View
	of *countedEngine
}

func (e *countedEngine) View() (engine.View, error) {
	view, err := e.Engine.View()
	return countedView{view, e}, err
}

func (v countedView) Select(from, to []byte, want func([]byte) bool, fn func(engine.Record) bool) error {
	return v.View.Select(from, to, func(key []byte) bool { v.of.looked++; return want(key) }, fn)
}

// A shard that receives a million keys with times to live must not pass all of them whenever one of its own is due.
func TestRowsOfOthersArePassedOnce(t *testing.T) {
	const others = 100
	e := &countedEngine{Engine: memory.New()}
	f := newFSM(t, e)
	theirs := uint32(command.Partition([]byte("{theirs}")))
	mustApply(t, f, assign(1, span(0, theirs-1), span(theirs+1, command.Partitions-1)), raise(command.Format))
	due := func(nowMs uint64, keys, lookedMax int) Due {
		t.Helper()
		e.looked = 0
		d, err := f.Due(nowMs)
		if err != nil || len(d.Keys) != keys || e.looked > lookedMax {
			t.Fatalf("%d keys are due after a look at %d: %+v, error %v", len(d.Keys), e.looked, d, err)
		}
		return d
	}
	imported := func(from int) *pb.Command {
		var list []*pb.ImportedRecord
		for n := range others {
			list = append(list, record(fmt.Sprintf("{theirs}%d", from+n), "v", 1))
			list[n].TtlMs = uint64(1 + n)
		}
		return records(2, list...)
	}
	must(t, f, move(stepImport, 2, span(theirs, theirs)), imported(0), writes(mortal("mine", "v", 1_000)))
	due(500, 0, others+1)
	waits := due(500, 0, 1)
	must(t, f, imported(others))
	select {
	case <-waits.Sooner:
		t.Fatal("woken by keys that are not to be deleted here")
	default:
	}
	due(500, 0, 1)
	must(t, f, writes(mortal("sooner", "v", 10)))
	due(500, 1, 2*others+2)
	must(t, f, at(20, expire("sooner")))
	due(500, 0, 2*others+1)
	due(500, 0, 1)
	must(t, f, complete(2, 0, span(theirs, theirs)), move(stepActivate, 2, span(theirs, theirs)))
	due(500, 2*others, 2*others+1)
}
