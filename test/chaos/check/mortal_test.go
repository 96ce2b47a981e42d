package main

import "testing"

func TestKeysThatLiveForATime(t *testing.T) {
	at := func(call, end, rest string) string { return line(call, end, rest+`,"outcome":"ok"`) }
	mortal := at("1", "2", `"op":"put","value":"a;","ttlMs":5,"version":5`)
	gone := get("3", "4", "")
	cases := []struct {
		name  string
		want  verdict
		lines []string
	}{
		{"may be gone", linearizable, []string{mortal, gone}},
		{"may be there", linearizable, []string{mortal, get("3", "4", "a;")}},
		{"are not back again", violated, []string{mortal, gone, get("5", "6", "a;")}},
		{"are gone for conditions as well", linearizable, []string{
			mortal, at("3", "4", `"op":"compare-and-set","expected":null,"value":"b;","version":6`), get("5", "6", "b;"),
		}},
		{"count their versions on", violated, []string{mortal, gone, at("5", "6", `"op":"put","value":"b;","version":5`)}},
		{"are gone for appends", linearizable, []string{mortal, appended("3", "4", "b;", "2"), get("5", "6", "b;")}},
		{"live for ever after a put that says so", violated, []string{mortal, put("3", "4", "b;"), get("5", "6", "")}},
		{"live for ever after a compare-and-set", violated, []string{
			mortal, at("3", "4", `"op":"compare-and-set","expected":"a;","value":"b;"`), get("5", "6", ""),
		}},
		{"live for ever after a touch that says so", violated, []string{
			mortal, at("3", "4", `"op":"touch","existed":true`), get("5", "6", ""),
		}},
		{"live for a time after a touch", linearizable, []string{
			put("1", "2", "a;"), at("3", "4", `"op":"touch","ttlMs":9,"existed":true`), get("5", "6", ""),
		}},
		{"are there when a touch found them", violated, []string{mortal, gone, at("5", "6", `"op":"touch","ttlMs":9,"existed":true`)}},
		{"still live for a time after an append", linearizable, []string{mortal, appended("3", "4", "b;", "4"), get("5", "6", "")}},
		{"may end by a touch of which nobody knows", linearizable, []string{
			put("1", "2", "a;"), line("3", "null", `"op":"touch","ttlMs":9,"outcome":"unknown"`), get("5", "6", ""),
		}},
		{"without a time they stay", violated, []string{put("1", "2", "a;"), gone}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(t, c.lines...); got.Verdict != c.want {
				t.Fatalf("%s instead of %s", got.Verdict, c.want)
			}
		})
	}
}
