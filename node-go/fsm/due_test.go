package fsm

import (
	"bytes"
	"fmt"
	"math"
	"testing"

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
