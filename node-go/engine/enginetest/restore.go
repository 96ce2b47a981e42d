package enginetest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"testing"
	"testing/iotest"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
)

var restoreTests = map[string]func(*testing.T, Factory){
	"replaces everything":                    testRestore,
	"may go back, and goes on from there":    testRestoreBack,
	"an empty stream empties":                testRestoreEmpty,
	"a broken stream changes nothing":        testRestoreBroken,
	"a failing reader is named as the cause": testRestoreReader,
}

var streamTests = map[string]func(*testing.T, Factory){
	"equal content gives equal bytes in any engine": testStreamIsCanonical,
}

func testStreamIsCanonical(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	reference := memory.New()
	fill(t, e, model, 1, 200)
	fill(t, reference, Content{}, 1, 200)
	want := Stream(t, reference)
	if !bytes.Equal(Stream(t, e), want) {
		t.Fatal("the streams differ")
	}
	other := open(t, f)
	if applied := must(other.Restore(bytes.NewReader(want)))(t); applied != 200 {
		t.Fatalf("restored to %d", applied)
	}
	if !bytes.Equal(Stream(t, other), want) {
		t.Fatal("the streams differ after a restore")
	}
	check(t, other, model)
}

func testRestore(t *testing.T, f Factory) {
	source, want := open(t, f), Content{}
	fill(t, source, want, 1, 500)
	e, old := open(t, f), Content{}
	apply(t, e, old, 1, put("only here", "x"), put("key-001", "old"))
	if applied := must(e.Restore(bytes.NewReader(Stream(t, source))))(t); applied != 500 {
		t.Fatalf("restored to %d", applied)
	}
	if e.Applied() != 500 || e.Synced() != 500 {
		t.Fatalf("applied %d, synced %d after a restore of 500", e.Applied(), e.Synced())
	}
	check(t, e, want)
	fill(t, e, want, 501, 100)
	check(t, e, want)
}

func testRestoreBack(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 50)
	then, stream := maps.Clone(model), Stream(t, e)
	fill(t, e, model, 51, 50)
	must(e.Restore(bytes.NewReader(stream)))(t)
	check(t, e, then)
	fill(t, e, then, 51, 70)
	sync(t, e)
	check(t, e, then)
}

func testRestoreEmpty(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	stream := Stream(t, e)
	fill(t, e, model, 1, 20)
	if applied := must(e.Restore(bytes.NewReader(stream)))(t); applied != 0 {
		t.Fatalf("restored to %d", applied)
	}
	check(t, e, Content{})
	fill(t, e, Content{}, 1, 20)
}

// Every cut of a stream and every flipped byte must be noticed.
func testRestoreBroken(t *testing.T, f Factory) {
	source := memory.New()
	fill(t, source, Content{}, 1, 12)
	stream := Stream(t, source)
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 30)
	refuse := func(what string, at int, broken []byte) {
		t.Helper()
		var bad *engine.StreamError
		if _, err := e.Restore(bytes.NewReader(broken)); !errors.As(err, &bad) {
			t.Fatalf("%s at %d of %d: %v", what, at, len(stream), err)
		}
	}
	for at := range stream {
		refuse("cut", at, stream[:at])
		flipped := bytes.Clone(stream)
		flipped[at] ^= 1 << (at % 8)
		refuse("flipped", at, flipped)
	}
	refuse("more after the end", len(stream), append(bytes.Clone(stream), 0))
	if e.Applied() != 30 {
		t.Fatalf("applied is %d", e.Applied())
	}
	check(t, e, model)
	fill(t, e, model, 31, 5)
	check(t, e, model)
}

func testRestoreReader(t *testing.T, f Factory) {
	source := memory.New()
	fill(t, source, Content{}, 1, 12)
	stream := Stream(t, source)
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 5)
	cause := errors.New("connection lost")
	broken := io.MultiReader(bytes.NewReader(stream[:len(stream)/2]), iotest.ErrReader(cause))
	var bad *engine.StreamError
	if _, err := e.Restore(broken); !errors.As(err, &bad) || !errors.Is(err, cause) {
		t.Fatal(err)
	}
	check(t, e, model)
}
