package enginetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"kvorum/node/engine"
)

var applyTests = map[string]func(*testing.T, Factory){
	"a new engine is empty":             testEmpty,
	"put, overwrite, delete":            testPutDelete,
	"versions of any size":              testVersions,
	"keys and values are any bytes":     testAnyBytes,
	"all fields are kept":               testFields,
	"later changes of a batch win":      testOrderInBatch,
	"an empty batch moves the index":    testEmptyBatch,
	"the index must grow":               testIndexGrows,
	"limits are enforced":               testLimits,
	"the caller's memory is not kept":   testCallerMemory,
	"a record returned does not change": testReturnedRecord,
}

func testEmpty(t *testing.T, f Factory) {
	e := open(t, f)
	check(t, e, Content{})
	if e.Applied() != 0 || e.Synced() != 0 {
		t.Fatalf("applied %d, synced %d", e.Applied(), e.Synced())
	}
	if _, found, err := e.Get([]byte("absent")); found || err != nil {
		t.Fatal(found, err)
	}
}

func testPutDelete(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("a", "1"), put("b", "2"), put("c", "3"))
	apply(t, e, model, 2, put("b", "two"))
	apply(t, e, model, 5, del("a"), del("absent"))
	check(t, e, model)
	if _, found, err := e.Get([]byte("a")); found || err != nil {
		t.Fatal("a deleted key is found", err)
	}
	if version, found, err := e.Version([]byte("a")); version != 0 || found || err != nil {
		t.Fatal("a deleted key has version", version, found, err)
	}
	apply(t, e, model, 6, put("a", "again"))
	check(t, e, model)
}

// testVersions looks at the versions after a merge and a restart as well, where an engine has made them anew.
func testVersions(t *testing.T, f Factory) {
	dir := t.TempDir()
	e, model := must(f.Open(dir))(t), Content{}
	for i, version := range []uint64{1, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		r := engine.Record{Key: []byte{byte(i)}, Value: []byte("v"), Version: version}
		apply(t, e, model, uint64(2*i+1), engine.Op{Record: r})
		apply(t, e, model, uint64(2*i+2), put("other", "x"))
	}
	check(t, e, model)
	if err := e.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	check(t, e, model)
	closeIt(t, e)
	if !f.Durable {
		return
	}
	e = must(f.Open(dir))(t)
	defer closeIt(t, e)
	check(t, e, model)
}

func testAnyBytes(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("", "the empty key"), put("\x00", "\x00\x00"), put("\xff\xfe", ""), put("ключ", "значение"))
	apply(t, e, model, 2,
		put(strings.Repeat("k", engine.KeyBytesMax), "longest key"), put("large", strings.Repeat("v", 1<<20)))
	check(t, e, model)
	apply(t, e, model, 3, del(""), del("\x00"))
	check(t, e, model)
}

func testFields(t *testing.T, f Factory) {
	e := open(t, f)
	b := engine.NewBatch(1 << 60)
	b.Put(engine.Record{Key: []byte("k"), Value: []byte("v"), Version: 1<<64 - 1, Expiry: 1<<63 + 7, Index: 3})
	if err := e.Apply(b); err != nil {
		t.Fatal(err)
	}
	r, found, err := e.Get([]byte("k"))
	want := engine.Record{Key: []byte("k"), Value: []byte("v"), Version: 1<<64 - 1, Expiry: 1<<63 + 7, Index: 1 << 60}
	if err != nil || !found || !Equal(r, want) {
		t.Fatal(r, found, err)
	}
}

func testOrderInBatch(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("a", "1"), put("a", "2"), del("a"), put("a", "3"), put("b", "1"), del("b"), del("c"), put("c", "1"))
	check(t, e, model)
}

func testEmptyBatch(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("a", "1"))
	apply(t, e, model, 9)
	check(t, e, model)
	if sync(t, e) != 9 || e.Synced() != 9 {
		t.Fatal("the index of an empty batch is not synced")
	}
}

func testIndexGrows(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 5, put("a", "1"))
	for _, index := range []uint64{0, 4, 5} {
		var order *engine.OrderError
		if err := e.Apply(batch(index, put("a", "wrong"))); !errors.As(err, &order) {
			t.Fatalf("batch %d after 5: %v", index, err)
		}
	}
	apply(t, e, model, 6, put("b", "2"))
	check(t, e, model)
}

func testLimits(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("a", "1"))
	longKey := engine.Op{Record: engine.Record{Key: make([]byte, engine.KeyBytesMax+1)}}
	longValue := engine.Op{Record: engine.Record{Key: []byte("k"), Value: make([]byte, engine.ValueBytesMax+1)}}
	deleteLong := engine.Op{Delete: true, Record: longKey.Record}
	for _, op := range []engine.Op{longKey, longValue, deleteLong} {
		var limit *engine.LimitError
		if err := e.Apply(batch(2, put("a", "wrong"), op)); !errors.As(err, &limit) {
			t.Fatalf("over the limit: %v", err)
		}
	}
	check(t, e, model)
	apply(t, e, model, 2, put("b", "2"))
	check(t, e, model)
}

func testCallerMemory(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	key, value := []byte("key1"), []byte("value1")
	b := engine.NewBatch(1)
	b.Put(engine.Record{Key: key, Value: value})
	model.Apply(b)
	if err := e.Apply(b); err != nil {
		t.Fatal(err)
	}
	copy(key, "XXXX")
	copy(value, "XXXXXX")
	check(t, e, model)
	b.Reset(2)
	if b.Len() != 0 || b.Index != 2 {
		t.Fatal("reset", b.Len(), b.Index)
	}
}

func testReturnedRecord(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("a", "first"))
	r, _, err := e.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, e, model, 2, put("a", "other"))
	if !bytes.Equal(r.Value, []byte("first")) {
		t.Fatalf("the record became %q", r.Value)
	}
}
