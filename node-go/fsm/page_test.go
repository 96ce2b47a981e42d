package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
)

// lookedAt is an engine of which a test may do something ahead of each view.
type lookedAt struct {
	engine.Engine
	onView func()
}

func (e *lookedAt) View() (engine.View, error) {
	if e.onView != nil {
		e.onView()
	}
	return e.Engine.View()
}

// whole asks for everything that fits, of all partitions.
func whole() PageQuery {
	q := PageQuery{Partitions: new([command.Partitions]bool), Limit: 1000, Bytes: 1 << 20, Looks: 1000}
	for number := range q.Partitions {
		q.Partitions[number] = true
	}
	return q
}

func named(p Page) string {
	var list []string
	for _, r := range p.Records {
		list = append(list, string(r.Key))
	}
	return strings.Join(list, " ")
}

func TestAPageIsAnIntervalUpToItsBounds(t *testing.T) {
	f := owner(t)
	apply(t, f, 2, writes(put("a", "1"), put("b", "2"), put("ba", "3"), put("c", strings.Repeat("x", 1000)), put("d", "5"), open(1, 60_000)))
	cases := map[string]struct {
		change func(q *PageQuery)
		want   string
		next   string
	}{
		"all":                    {func(*PageQuery) {}, "a b ba c d", ""},
		"from":                   {func(q *PageQuery) { q.From = []byte("b") }, "b ba c d", ""},
		"to":                     {func(q *PageQuery) { q.To = []byte("c") }, "a b ba", ""},
		"reverse":                {func(q *PageQuery) { q.Reverse = true }, "d c ba b a", ""},
		"an interval in reverse": {func(q *PageQuery) { q.Reverse, q.From, q.To = true, []byte("b"), []byte("c") }, "ba b", ""},
		"nothing":                {func(q *PageQuery) { q.From = []byte("e") }, "", ""},
		"limit":                  {func(q *PageQuery) { q.Limit = 2 }, "a b", "ba"},
		"limit at the end":       {func(q *PageQuery) { q.Limit = 5 }, "a b ba c d", ""},
		"limit in reverse":       {func(q *PageQuery) { q.Limit, q.Reverse = 2, true }, "d c", "c"},
		"bytes":                  {func(q *PageQuery) { q.Bytes = 900 }, "a b ba", "c"},
		"a large first":          {func(q *PageQuery) { q.Bytes, q.From = 1, []byte("c") }, "c", "d"},
		"bytes of keys alone":    {func(q *PageQuery) { q.Bytes, q.Content = 900, Keys }, "a b ba c d", ""},
		"looks":                  {func(q *PageQuery) { q.Looks = 3 }, "a b ba", "c"},
		"looks in reverse":       {func(q *PageQuery) { q.Looks, q.Reverse = 3, true }, "d c ba", "ba"},
	}
	for name, c := range cases {
		q := whole()
		c.change(&q)
		page, err := f.Page(q)
		if err != nil || named(page) != c.want || string(page.Next) != c.next || (page.Next == nil) != (c.next == "") {
			t.Errorf("%s: got %q, next %q, %v; want %q, next %q", name, named(page), page.Next, err, c.want, c.next)
		}
		if page.Keys != uint64(len(page.Records)) {
			t.Errorf("%s: %d keys of %d records", name, page.Keys, len(page.Records))
		}
	}
}

func TestWhatAPageSaysOfItsKeys(t *testing.T) {
	f := owner(t)
	apply(t, f, 2, writes(put("k", "v"), put("l", "w")))
	apply(t, f, 3, writes(put("k", "v2")))
	q := whole()
	page, err := f.Page(q)
	if err != nil || string(page.Records[0].Value) != "v2" || page.Records[0].Version != 2 || page.Records[1].Version != 1 {
		t.Fatalf("entries: %v %v", page, err)
	}
	q.Content = Keys
	page, err = f.Page(q)
	if err != nil || named(page) != "k l" || page.Records[0].Value != nil || page.Records[0].Version != 2 {
		t.Fatalf("keys: %v %v", page, err)
	}
	q.Content = Count
	page, err = f.Page(q)
	if err != nil || page.Keys != 2 || page.Records != nil || page.Next != nil {
		t.Fatalf("count: %v %v", page, err)
	}
	q.Looks = 1
	page, err = f.Page(q)
	if err != nil || page.Keys != 1 || string(page.Next) != "l" {
		t.Fatalf("count, bounded: %v %v", page, err)
	}
}

// Pages of any sizes, one behind the other, are every key of the partitions that were asked for, once and in order.
func TestPagesFollowOneAnother(t *testing.T) {
	f := owner(t)
	var all []string
	for i := range 300 {
		key := fmt.Sprintf("key-%03d", i)
		all = append(all, key)
		apply(t, f, uint64(2+i), writes(put(key, strings.Repeat("v", i%40))))
	}
	rapid.Check(t, func(t *rapid.T) {
		q := whole()
		odd := rapid.Uint16Range(1, 4).Draw(t, "of partitions every")
		for number := range q.Partitions {
			q.Partitions[number] = uint16(number)%odd == 0
		}
		q.Reverse = rapid.Bool().Draw(t, "reverse")
		var want, got []string
		for _, key := range all {
			if command.Partition([]byte(key))%odd == 0 {
				want = append(want, key)
			}
		}
		if q.Reverse {
			slices.Reverse(want)
		}
		for more := true; more; {
			q.Limit = rapid.IntRange(1, 100).Draw(t, "limit")
			q.Bytes = rapid.IntRange(1, 10_000).Draw(t, "bytes")
			q.Looks = rapid.IntRange(1, 200).Draw(t, "looks")
			page, err := f.Page(q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Fields(named(page))...)
			if more = page.Next != nil; q.Reverse {
				q.To = page.Next
			} else {
				q.From = page.Next
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestAPageOfWhatIsNotOwnedIsRefused(t *testing.T) {
	f := newFSM(t, memory.New())
	apply(t, f, 1, assign(5, span(0, 9)))
	q := PageQuery{Partitions: new([command.Partitions]bool), Limit: 1, Bytes: 1, Looks: 1}
	q.Partitions[3], q.Partitions[9] = true, true
	if _, err := f.Page(q); err != nil {
		t.Fatal(err)
	}
	q.Partitions[10] = true
	_, err := f.Page(q)
	if e := requireCode(t, err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD); e.Epoch != 5 || e.Outcome != errpb.Outcome_OUTCOME_NOT_APPLIED {
		t.Fatalf("%+v", e)
	}
	apply(t, f, 2, move(stepImport, 6, span(10, 10)))
	_, err = f.Page(q)
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_MOVING)
	q.Partitions[11] = true
	_, err = f.Page(q)
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
}

// The read is held between its look at the table and its view, while the partitions are released.
func TestNoPageAfterARelease(t *testing.T) {
	e := &lookedAt{Engine: owner(t).engine}
	f := newFSM(t, e)
	apply(t, f, 2, writes(put("k", "v")))
	e.onView = func() {
		e.onView = nil
		release(t, f, 2, all())
	}
	page, err := f.Page(whole())
	if err == nil {
		t.Fatalf("read %v of partitions that were released before the view was taken", page)
	}
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
}
