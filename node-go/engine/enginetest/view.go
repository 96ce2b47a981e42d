package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"kvorum/node/engine"
)

var viewTests = map[string]func(*testing.T, Factory){
	"a view does not change":                  testViewStays,
	"a view outlives merges and a restore":    testViewOutlives,
	"ascend goes over a range":                testAscend,
	"ascend stops":                            testAscendStops,
	"select reads only what is wanted":        testSelect,
	"a walk goes both ways over a range":      testWalk,
	"a walk says what each record is":         testWalkItems,
	"a closed view":                           testViewClosed,
	"the stream has the announced size":       testStreamSize,
	"many views at different points are kept": testManyViews,
}

func testViewStays(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 100)
	v := must(e.View())(t)
	defer closeIt(t, v)
	then := maps.Clone(model)
	fill(t, e, model, 101, 100)
	if err := then.CheckView(v); err != nil {
		t.Fatal(err)
	}
	if v.Applied() != 100 {
		t.Fatalf("the view is at %d", v.Applied())
	}
	for key, want := range then {
		got, found, err := v.Get([]byte(key))
		if err != nil || !found || !Equal(got, want) {
			t.Fatal(key, got, found, err)
		}
	}
	if _, found, err := v.Get([]byte("absent")); found || err != nil {
		t.Fatal(found, err)
	}
}

func testViewOutlives(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 300)
	stream := Stream(t, e)
	v := must(e.View())(t)
	defer closeIt(t, v)
	then := maps.Clone(model)
	for round := range uint64(3) {
		fill(t, e, model, 301+100*round, 100)
		if err := e.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		check(t, e, model)
	}
	must(e.Restore(bytes.NewReader(stream)))(t)
	if err := then.CheckView(v); err != nil {
		t.Fatal(err)
	}
	check(t, e, then)
}

func testAscend(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("", "0"), put("a", "1"), put("ab", "2"), put("b", "3"), put("c", "4"), put("\xff", "5"))
	v := must(e.View())(t)
	defer closeIt(t, v)
	cases := []struct {
		from, to []byte
		want     []string
	}{
		{nil, nil, []string{"", "a", "ab", "b", "c", "\xff"}},
		{[]byte(""), nil, []string{"", "a", "ab", "b", "c", "\xff"}},
		{[]byte("a"), []byte("b"), []string{"a", "ab"}},
		{[]byte("aa"), []byte("bb"), []string{"ab", "b"}},
		{nil, []byte("ab"), []string{"", "a"}},
		{[]byte("b"), nil, []string{"b", "c", "\xff"}},
		{[]byte("b"), []byte("b"), nil},
		{[]byte("c"), []byte("a"), nil},
		{nil, []byte(""), nil},
	}
	for _, c := range cases {
		var got []string
		err := v.Ascend(c.from, c.to, func(r engine.Record) bool {
			got = append(got, string(r.Key))
			return true
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("[%q, %q): %q, %v; should be %q", c.from, c.to, got, err, c.want)
		}
	}
}

func testAscendStops(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 50)
	v := must(e.View())(t)
	defer closeIt(t, v)
	calls := 0
	err := v.Ascend(nil, nil, func(engine.Record) bool {
		calls++
		return calls < 3
	})
	if err != nil || calls != 3 {
		t.Fatal(calls, err)
	}
}

func testSelect(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("", "0"), put("a", "1"), put("ab", "2"), put("b", "3"), put("bb", "4"), put("c", "5"))
	v := must(e.View())(t)
	defer closeIt(t, v)
	apply(t, e, model, 2, put("aa", "new"), del("b"))
	var asked, got []string
	err := v.Select([]byte("a"), []byte("c"), func(key []byte) bool {
		asked = append(asked, string(key))
		return len(key) == 1
	}, func(r engine.Record) bool {
		got = append(got, string(r.Key)+"="+string(r.Value))
		return true
	})
	if err != nil || !slices.Equal(asked, []string{"a", "ab", "b", "bb"}) || !slices.Equal(got, []string{"a=1", "b=3"}) {
		t.Fatalf("asked for %q, got %q, error %v", asked, got, err)
	}
	calls := 0
	err = v.Select(nil, nil, func(key []byte) bool { return len(key) > 1 }, func(engine.Record) bool {
		calls++
		return false
	})
	if err != nil || calls != 1 {
		t.Fatalf("stopped after %d records: %v", calls, err)
	}
}

func testViewClosed(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 5)
	v := must(e.View())(t)
	closeIt(t, v)
	if _, _, err := v.Get([]byte("x")); !errors.Is(err, engine.ErrClosed) {
		t.Error("Get:", err)
	}
	if err := v.Ascend(nil, nil, func(engine.Record) bool { return true }); !errors.Is(err, engine.ErrClosed) {
		t.Error("Ascend:", err)
	}
	all, none := func([]byte) bool { return true }, func(engine.Record) bool { return true }
	if err := v.Select(nil, nil, all, none); !errors.Is(err, engine.ErrClosed) {
		t.Error("Select:", err)
	}
	if _, err := v.WriteTo(&bytes.Buffer{}); !errors.Is(err, engine.ErrClosed) {
		t.Error("WriteTo:", err)
	}
	check(t, e, model)
}

func testStreamSize(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	Stream(t, e)
	for i := range uint64(20) {
		fill(t, e, model, 1+i*10, 10)
		Stream(t, e)
	}
}

func testManyViews(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	type past struct {
		view    engine.View
		content Content
	}
	var views []past
	for i := range uint64(20) {
		fill(t, e, model, 1+i*20, 20)
		views = append(views, past{must(e.View())(t), maps.Clone(model)})
		if i%7 == 3 {
			if err := e.Merge(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, p := range views {
		if err := p.content.CheckView(p.view); err != nil {
			t.Fatal(fmt.Errorf("view %d: %w", i, err))
		}
		closeIt(t, p.view)
	}
}
