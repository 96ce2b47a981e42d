package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const head = `{"format":"kvorum-history","version":4,"seed":7,"round":1}`

// line is one operation on key k by hand: times, then the rest of the object.
func line(call, end, rest string) string {
	return `{"id":1,"client":"c","key":"k","call":` + call + `,"return":` + end + `,` + rest + `}`
}

func put(call, end, value string) string {
	return line(call, end, `"op":"put","value":"`+value+`","outcome":"ok"`)
}

func get(call, end, value string) string {
	got := `"` + value + `"`
	if value == "" {
		got = "null"
	}
	return line(call, end, `"op":"get","outcome":"ok","got":`+got)
}

func appended(call, end, value, length string) string {
	return line(call, end, `"op":"append","value":"`+value+`","outcome":"ok","length":`+length)
}

func judged(t *testing.T, lines ...string) finding {
	t.Helper()
	read, err := readHistory(strings.NewReader(strings.Join(append([]string{head}, lines...), "\n")))
	if err != nil {
		t.Fatal(err)
	}
	found, err := check(read, options{perKey: 10 * time.Second, pictures: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Keys) != 1 {
		t.Fatalf("%d keys", len(found.Keys))
	}
	if one := found.Keys[0]; one.Picture != "" {
		if page, err := os.ReadFile(one.Picture); err != nil || !bytes.Contains(page, []byte("<html")) {
			t.Fatalf("no picture: %v", err)
		}
	}
	return found.Keys[0]
}

func TestVerdicts(t *testing.T) {
	unknownPut := line("1", "null", `"op":"put","value":"b;","outcome":"unknown"`)
	cases := []struct {
		name  string
		want  verdict
		lines []string
	}{
		{"one after the other", linearizable, []string{put("1", "2", "a;"), get("3", "4", "a;")}},
		{"concurrent reads see either", linearizable, []string{
			put("1", "2", "a;"), put("3", "9", "b;"), get("4", "5", "a;"), get("6", "7", "b;"),
		}},
		{"a value that was made in two ways, read between", violated, []string{
			put("1", "2", "a"), appended("3", "4", "b", "2"), get("5", "6", "ab"), put("7", "8", "c"),
			get("9", "10", "ab"), put("11", "12", "ab"), get("13", "14", "ab"),
		}},
		{"stale read", violated, []string{put("1", "2", "a;"), put("3", "4", "b;"), get("5", "6", "a;")}},
		{"reads go back", violated, []string{
			put("1", "2", "a;"), put("3", "9", "b;"), get("4", "5", "b;"), get("6", "7", "a;"),
		}},
		{"lost put", violated, []string{put("1", "2", "a;"), get("3", "4", "")}},
		{"resurrected value", violated, []string{
			put("1", "2", "a;"), line("3", "4", `"op":"delete","outcome":"ok"`), get("5", "6", "a;"),
		}},
		{"delete of a key that is there says that it was not", violated, []string{
			put("1", "2", "a;"), line("3", "4", `"op":"delete","outcome":"ok","existed":false`),
		}},
		{"lost append", violated, []string{
			appended("1", "2", "a;", "2"), appended("3", "4", "b;", "4"), get("5", "6", "a;"),
		}},
		{"doubled append", violated, []string{appended("1", "2", "a;", "2"), get("3", "4", "a;a;")}},
		{"append of a wrong length", violated, []string{appended("1", "2", "a;", "4")}},
		{"unknown put is seen", linearizable, []string{unknownPut, get("8", "9", "b;")}},
		{"unknown put comes late", linearizable, []string{unknownPut, get("5", "6", ""), get("8", "9", "b;")}},
		{"unknown put never comes", linearizable, []string{unknownPut, get("8", "9", "")}},
		{"unknown put comes twice", violated, []string{
			unknownPut, get("2", "3", "b;"), put("4", "5", "c;"), get("6", "7", "b;"),
		}},
		{"refused put is seen", violated, []string{
			line("1", "2", `"op":"put","value":"b;","outcome":"not-applied"`), get("3", "4", "b;"),
		}},
		{"refused read says nothing", linearizable, []string{
			line("1", "2", `"op":"get","outcome":"not-applied"`), get("3", "4", ""),
		}},
		{"applied put without an answer counts by its return", violated, []string{
			line("1", "2", `"op":"put","value":"b;","outcome":"applied"`), get("3", "4", ""),
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(t, c.lines...); got.Verdict != c.want {
				t.Fatalf("%s instead of %s", got.Verdict, c.want)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	at := func(call, end, rest string) string { return line(call, end, rest+`,"outcome":"ok"`) }
	first := at("1", "2", `"op":"put","value":"a;","version":5`)
	unknownConditional := line("3", "null", `"op":"put","value":"b;","ifVersion":5,"outcome":"unknown"`)
	cases := []struct {
		name  string
		want  verdict
		lines []string
	}{
		{"count writes", linearizable, []string{
			first, at("3", "4", `"op":"append","value":"b;","version":6`), at("5", "6", `"op":"get","got":"a;b;","version":6`),
		}},
		{"leave one out", violated, []string{first, at("3", "4", `"op":"put","value":"b;","version":7`)}},
		{"go back within a bound, which is judged elsewhere", linearizable, []string{
			first, at("3", "4", `"op":"put","value":"b;","version":6`), at("5", "6", `"op":"get","staleMs":9,"got":"a;","version":5`),
		}},
		{"go back", violated, []string{first, at("3", "4", `"op":"get","got":"a;","version":4`)}},
		{"begin above what they were after a delete", linearizable, []string{
			first, at("3", "4", `"op":"delete"`), at("5", "6", `"op":"put","value":"b;","version":9`),
		}},
		{"come again after a delete", violated, []string{
			first, at("3", "4", `"op":"delete"`), at("5", "6", `"op":"put","value":"b;","version":5`),
		}},
		{"of an absent key", violated, []string{at("1", "2", `"op":"get","got":null,"version":3`)}},
		{"are a condition", linearizable, []string{
			first, at("3", "4", `"op":"put","value":"b;","ifVersion":5,"version":6`),
		}},
		{"are a condition that does not hold", violated, []string{
			first, at("3", "4", `"op":"put","value":"b;","ifVersion":4,"version":6`),
		}},
		{"are refused with the one that there is", linearizable, []string{
			first, line("3", "4", `"op":"put","value":"b;","ifVersion":4,"outcome":"precondition","version":5`),
		}},
		{"are refused though the condition holds", violated, []string{
			first, line("3", "4", `"op":"put","value":"b;","ifVersion":5,"outcome":"precondition"`),
		}},
		{"decide an unknown conditional write: yes", linearizable, []string{
			first, unknownConditional, at("5", "6", `"op":"get","got":"b;","version":6`),
		}},
		{"decide an unknown conditional write: too late", linearizable, []string{
			first, unknownConditional, at("5", "6", `"op":"put","value":"c;","version":6`),
			at("7", "8", `"op":"get","got":"c;","version":6`),
		}},
		{"decide an unknown conditional write: never after another", violated, []string{
			first, unknownConditional, at("5", "6", `"op":"put","value":"c;","version":6`),
			at("7", "8", `"op":"get","got":"b;"`),
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(t, c.lines...); got.Verdict != c.want {
				t.Fatalf("%s instead of %s", got.Verdict, c.want)
			}
		})
	}
}

func TestConditionsByValueAndSums(t *testing.T) {
	at := func(call, end, rest string) string { return line(call, end, rest+`,"outcome":"ok"`) }
	first := at("1", "2", `"op":"put","value":"a;","version":5`)
	unknownSwap := line("3", "null", `"op":"compare-and-set","expected":"a;","value":"b;","outcome":"unknown"`)
	unknownSum := line("3", "null", `"op":"increment","by":7,"outcome":"unknown"`)
	two := at("1", "2", `"op":"increment","by":2,"sum":2`)
	cases := []struct {
		name  string
		want  verdict
		lines []string
	}{
		{"the value is the expected one", linearizable, []string{
			first, at("3", "4", `"op":"compare-and-set","expected":"a;","value":"b;","version":6`), get("5", "6", "b;"),
		}},
		{"it is not", violated, []string{first, at("3", "4", `"op":"compare-and-set","expected":"x;","value":"b;"`)}},
		{"it is there and was not to be", violated, []string{first, at("3", "4", `"op":"compare-and-set","expected":null,"value":"b;"`)}},
		{"absent, as expected", linearizable, []string{at("1", "2", `"op":"compare-and-set","expected":null,"value":"b;"`), get("3", "4", "b;")}},
		{"refused though the value is the expected one", violated, []string{
			first, line("3", "4", `"op":"compare-and-set","expected":"a;","value":"b;","outcome":"precondition"`),
		}},
		{"refused rightly", linearizable, []string{
			first, line("3", "4", `"op":"compare-and-set","expected":"x;","value":"b;","outcome":"precondition","version":5`), get("5", "6", "a;"),
		}},
		{"refused with another version", violated, []string{
			first, line("3", "4", `"op":"compare-and-set","expected":"x;","value":"b;","outcome":"precondition","version":4`),
		}},
		{"refused, and seen", violated, []string{
			first, line("3", "4", `"op":"compare-and-set","expected":"x;","value":"b;","outcome":"precondition"`), get("5", "6", "b;"),
		}},
		{"unknown, and seen", linearizable, []string{first, unknownSwap, get("5", "6", "b;")}},
		{"unknown, too late", linearizable, []string{first, unknownSwap, put("5", "6", "c;"), get("7", "8", "c;")}},
		{"unknown, never after another value", violated, []string{first, unknownSwap, put("5", "6", "c;"), get("7", "8", "b;")}},
		{"sums", linearizable, []string{two, at("3", "4", `"op":"increment","by":-5,"sum":-3`), get("5", "6", "-3")}},
		{"a sum that is another", violated, []string{two, at("3", "4", `"op":"increment","by":1,"sum":4`)}},
		{"an increment that happened twice", violated, []string{two, get("3", "4", "4")}},
		{"an increment that is lost", violated, []string{two, get("3", "4", "")}},
		{"a sum that begins again", linearizable, []string{two, at("3", "4", `"op":"delete"`), at("5", "6", `"op":"increment","by":1,"sum":1`)}},
		{"an unknown one is in it", linearizable, []string{two, unknownSum, at("5", "6", `"op":"increment","by":1,"sum":10`)}},
		{"an unknown one is not", linearizable, []string{two, unknownSum, at("5", "6", `"op":"increment","by":1,"sum":3`)}},
		{"an unknown one is in it twice", violated, []string{two, unknownSum, at("5", "6", `"op":"increment","by":1,"sum":17`)}},
		{"what was replaced", linearizable, []string{
			first, at("3", "4", `"op":"put","value":"b;","returned":true,"previous":"a;"`), at("5", "6", `"op":"delete","returned":true,"previous":"b;"`),
			at("7", "8", `"op":"delete","returned":true,"previous":null`),
		}},
		{"another was replaced", violated, []string{
			first, put("3", "4", "b;"), at("5", "6", `"op":"put","value":"c;","returned":true,"previous":"a;"`),
		}},
		{"nothing was replaced", violated, []string{first, at("3", "4", `"op":"delete","returned":true,"previous":null`)}},
		{"a delete of another version", violated, []string{first, at("3", "4", `"op":"delete","ifVersion":4,"existed":true`)}},
		{"a delete that was refused, and took place", violated, []string{
			first, line("3", "4", `"op":"delete","ifVersion":4,"outcome":"precondition","version":5`), get("5", "6", ""),
		}},
		{"a delete of its version", linearizable, []string{first, at("3", "4", `"op":"delete","ifVersion":5,"existed":true`), get("5", "6", "")}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(t, c.lines...); got.Verdict != c.want {
				t.Fatalf("%s instead of %s", got.Verdict, c.want)
			}
		})
	}
}

func TestASearchThatDoesNotEndIsNotDecided(t *testing.T) {
	lines := []string{head}
	for i := range 24 {
		value := string(rune('a' + i))
		lines = append(lines, line("1", "null", `"op":"append","value":"`+value+`;","outcome":"unknown"`))
	}
	// None of them may be left out, and no order makes this value.
	lines = append(lines, get("5", "6", "x;"+strings.Repeat("a;", 23)))
	read, err := readHistory(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	found, err := check(read, options{perKey: 20 * time.Millisecond, pictures: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if got := found.Keys[0]; got.Verdict != undecided || got.Unknown != 24 {
		t.Fatalf("%+v", got)
	}
}

func TestKeysAreJudgedApartAndFaultsAreNoOperations(t *testing.T) {
	other := strings.ReplaceAll(get("3", "4", "never;"), `"key":"k"`, `"key":"a/b"`)
	fault := `{"fault":"kill","call":1,"return":2}`
	read, err := readHistory(strings.NewReader(strings.Join([]string{head, put("1", "2", "a;"), other, fault}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	pictures := t.TempDir()
	found, err := check(read, options{perKey: time.Second, pictures: pictures})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Keys) != 2 || found.Keys[0].Verdict != linearizable || found.Keys[1].Verdict != violated {
		t.Fatalf("%+v", found.Keys)
	}
	if found.Keys[1].Picture != filepath.Join(pictures, "a_b.html") {
		t.Fatalf("picture %s", found.Keys[1].Picture)
	}
}

func TestWhatIsNoHistoryIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"another format":  `{"format":"jepsen","version":1}`,
		"a later version": `{"format":"kvorum-history","version":5}`,
		"half a line":     head + "\n" + `{"id":`,
		"no such verb":    head + "\n" + line("1", "2", `"op":"scan","outcome":"ok"`),
		"no such outcome": head + "\n" + line("1", "2", `"op":"get","outcome":"maybe"`),
		"no return":       head + "\n" + line("1", "null", `"op":"get","outcome":"ok"`),
		"no account":      head + "\n" + transfer("1", "2", "0", "4", "1", `"outcome":"unknown"`),
		"too few of them": head + "\n" + balances("1", "2", "[1,-1]"),
		"back in time":    head + "\n" + line("2", "1", `"op":"get","outcome":"ok"`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readHistory(strings.NewReader(text)); err == nil {
				t.Fatal("taken")
			}
		})
	}
}
