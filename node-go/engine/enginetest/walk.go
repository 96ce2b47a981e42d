package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"kvorum/node/engine"
)

func testWalk(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	apply(t, e, model, 1, put("", "0"), put("a", "1"), put("ab", "22"), put("b", "3"), put("c", "4"), put("\xff", "5"))
	v := must(e.View())(t)
	defer closeIt(t, v)
	apply(t, e, model, 2, put("aa", "new"), del("b"))
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
		{[]byte("\xff"), nil, []string{"\xff"}},
		{[]byte("b"), []byte("b"), nil},
		{[]byte("c"), []byte("a"), nil},
		{nil, []byte(""), nil},
	}
	for _, c := range cases {
		for _, reverse := range []bool{false, true} {
			want := slices.Clone(c.want)
			if reverse {
				slices.Reverse(want)
			}
			if got, err := keysOf(v, c.from, c.to, reverse, len(want)+1); err != nil || !slices.Equal(got, want) {
				t.Errorf("[%q, %q) reverse %t: %q, %v; should be %q", c.from, c.to, reverse, got, err, want)
			}
			if got, err := keysOf(v, c.from, c.to, reverse, 1); err != nil || len(got) > 1 {
				t.Errorf("[%q, %q) reverse %t did not stop: %q, %v", c.from, c.to, reverse, got, err)
			}
		}
	}
}

// testWalkItems asks for everything that an item says, of keys with several versions.
func testWalkItems(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 200)
	v := must(e.View())(t)
	for _, reverse := range []bool{false, true} {
		seen := 0
		var fault error
		err := v.Walk(nil, nil, reverse, func(i engine.Item) bool {
			seen++
			want, expected := model[string(i.Key())]
			version, versionErr := i.Version()
			got, readErr := i.Record()
			if err := errors.Join(versionErr, readErr); err != nil || !expected || version != want.Version || !Equal(got, want) {
				fault = fmt.Errorf("item %q: version %d, %v, %w; should be %v", i.Key(), version, got, err, want)
			} else if least := len(want.Key) + len(want.Value); i.Bytes() < least || i.Bytes() > least+64 {
				fault = fmt.Errorf("item %q has %d bytes; key and value have %d", i.Key(), i.Bytes(), least)
			}
			return fault == nil
		})
		if err = errors.Join(err, fault); err != nil || seen != len(model) {
			t.Fatalf("%d of %d keys, reverse %t: %v", seen, len(model), reverse, err)
		}
	}
	closeIt(t, v)
	if err := v.Walk(nil, nil, false, func(engine.Item) bool { return true }); !errors.Is(err, engine.ErrClosed) {
		t.Error("Walk of a closed view:", err)
	}
}

func keysOf(v engine.View, from, to []byte, reverse bool, most int) ([]string, error) {
	var got []string
	err := v.Walk(from, to, reverse, func(i engine.Item) bool {
		got = append(got, string(i.Key()))
		return len(got) < most
	})
	return got, err
}
