package main

import "testing"

func transfer(call, end, from, to, by, rest string) string {
	return line(call, end, `"op":"transfer","from":`+from+`,"to":`+to+`,"by":`+by+`,`+rest)
}

func moved(call, end, from, to, by, balances string) string {
	return transfer(call, end, from, to, by, `"outcome":"ok","succeeded":true,"balances":`+balances)
}

func balances(call, end, told string) string {
	return line(call, end, `"op":"balances","outcome":"ok","succeeded":true,"balances":`+told)
}

func TestTransfers(t *testing.T) {
	doubt := transfer("3", "null", "0", "1", "2", `"outcome":"unknown"`)
	kept := func(call, end, expected, told string) string {
		return transfer(call, end, "0", "1", "2", `"expected":"`+expected+`","outcome":"ok","succeeded":false,"balances":`+told)
	}
	for _, c := range []struct {
		name  string
		want  verdict
		lines []string
	}{
		{"one after the other", linearizable, []string{moved("1", "2", "0", "1", "5", "[-5,5,null,null]"), balances("3", "4", "[-5,5,null,null]")}},
		{"concurrent, in either order", linearizable, []string{
			moved("1", "9", "0", "1", "5", "[-5,7,null,-2]"), moved("2", "8", "3", "1", "2", "[null,2,null,-2]"), balances("4", "5", "[null,2,null,-2]"),
		}},
		{"nothing yet", linearizable, []string{balances("1", "2", "[null,null,null,null]")}},
		{"half of a transfer is seen", violated, []string{moved("1", "9", "0", "1", "5", "[-5,5,null,null]"), balances("3", "4", "[-5,null,null,null]")}},
		{"half of it is done", violated, []string{moved("1", "2", "0", "1", "5", "[-5,5,null,null]"), balances("3", "4", "[-5,0,null,null]")}},
		{"it is done twice", violated, []string{moved("1", "2", "0", "1", "5", "[-5,5,null,null]"), balances("3", "4", "[-10,10,null,null]")}},
		{"in doubt: done", linearizable, []string{doubt, balances("5", "6", "[-2,2,null,null]")}},
		{"in doubt: not done", linearizable, []string{doubt, balances("5", "6", "[null,null,null,null]")}},
		{"in doubt: done, and not any more", violated, []string{
			doubt, balances("5", "6", "[-2,2,null,null]"), balances("7", "8", "[null,null,null,null]"),
		}},
		{"refused, and done", violated, []string{
			transfer("1", "2", "0", "1", "2", `"outcome":"not-applied"`), balances("5", "6", "[-2,2,null,null]"),
		}},
		{"a condition that holds", linearizable, []string{
			moved("1", "2", "0", "1", "5", "[-5,5,null,null]"),
			transfer("3", "4", "0", "1", "2", `"expected":"-5","outcome":"ok","succeeded":true,"balances":[-7,7,null,null]`),
		}},
		{"one that does not", linearizable, []string{moved("1", "2", "0", "1", "5", "[-5,5,null,null]"), kept("3", "4", "5", "[-5,5,null,null]")}},
		{"of an account that is not there", linearizable, []string{kept("3", "4", "0", "[null,null,null,null]")}},
		{"it does not hold, and something is done", violated, []string{kept("3", "4", "5", "[-2,2,null,null]")}},
		{"it holds, and is said not to", violated, []string{moved("1", "2", "0", "1", "5", "[-5,5,null,null]"), kept("3", "4", "-5", "[-5,5,null,null]")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(t, c.lines...); got.Verdict != c.want {
				t.Fatalf("%s, want %s", got.Verdict, c.want)
			}
		})
	}
}
