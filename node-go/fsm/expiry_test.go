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
	errpb "kvorum/node/gen/errors"
)

const invalid = errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT

func mortal(key, value string, ttlMs uint64) *pb.Write {
	w := put(key, value)
	w.GetPut().TtlMs = ttlMs
	return w
}

func touch(key string, ttlMs uint64) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Touch{Touch: &pb.Touch{Key: []byte(key), TtlMs: ttlMs}}}
}

func expire(keys ...string) *pb.Command {
	e := &pb.Expire{}
	for _, key := range keys {
		e.Keys = append(e.Keys, []byte(key))
	}
	return &pb.Command{Kind: &pb.Command_Expire{Expire: e}}
}

// must applies commands of the newest format.
func must(t *testing.T, f *FSM, list ...*pb.Command) *Applied {
	t.Helper()
	var last *Applied
	for _, c := range list {
		if last = applyIn(t, f, f.state.applied+1, c, command.Format); last.Err != nil {
			t.Fatalf("%v: %v", c, last.Err)
		}
	}
	return last
}

// requireExpiry also holds the row against it.
func requireExpiry(t *testing.T, f *FSM, key string, want uint64) {
	t.Helper()
	r, found, err := f.Get([]byte(key))
	if err != nil || !found || r.Expiry != want {
		t.Fatalf("%q: due at %d, found %v, error %v; want %d", key, r.Expiry, found, err, want)
	}
	requireRows(t, f)
}

// requireRows holds expiry rows, records and state against each other: one row for each Expiry.
func requireRows(t fataler, f *FSM) {
	t.Helper()
	view, err := f.engine.View()
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer view.Close()
	records, rows := map[string]uint64{}, map[string]uint64{}
	err = view.Ascend([]byte{spaceUser}, nil, func(r engine.Record) bool {
		switch {
		case r.Key[0] == spaceExpiry:
			at, key := splitExpiryKey(r.Key)
			rows[string(key)] = at
		case r.Key[0] == spaceUser && r.Expiry > 0:
			records[string(r.Key[1:])] = r.Expiry
		}
		return true
	})
	if err != nil || fmt.Sprint(records) != fmt.Sprint(rows) || fmt.Sprint(rows) != fmt.Sprint(f.state.expiries) {
		t.Fatalf("records are due at %v, rows at %v, state at %v, error %v", records, rows, f.state.expiries, err)
	}
}

func TestWhichWritesKeepTheTimeToLive(t *testing.T) {
	for name, c := range map[string]struct {
		write *pb.Write
		want  uint64
	}{
		"a put ends it":             {put("k", "2"), 0},
		"a put with another":        {mortal("k", "2", 50), 150},
		"compare-and-set ends it":   {swap("k", []byte("1"), "2"), 0},
		"an append keeps it":        {add("k", "2"), 1_000},
		"an increment keeps it":     {increment("k", 1), 1_000},
		"a touch gives another":     {touch("k", 7), 107},
		"a touch with none ends it": {touch("k", 0), 0},
		"a refused put keeps it":    {put("k", "2", 99), 1_000},
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, in one entry: %v", name, together), func(t *testing.T) {
				f, _ := newest(t)
				first := mortal("k", "1", 1_000)
				if together {
					first.GetPut().TtlMs = 900
					must(t, f, at(100, writes(first, c.write)))
				} else {
					must(t, f, at(0, writes(first)), at(100, writes(c.write)))
				}
				requireExpiry(t, f, "k", c.want)
			})
		}
	}
}

func TestATouchChangesNothingElse(t *testing.T) {
	f, id := newest(t)
	must(t, f, writes(put("k", "v"), put("k", "w")))
	if r := must(t, f, once(id, 1, 1, touch("k", 10))).Results[0]; !r.Existed || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	requireValue(t, f, "k", "w", 2)
	if r := must(t, f, writes(touch("absent", 10))).Results[0]; r.Existed || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	requireAbsent(t, f, "absent")
	// What was appended and touched in one entry can be appended to.
	must(t, f, writes(add("k", "1"), touch("k", 5), add("k", "2")))
	requireValue(t, f, "k", "w12", 4)
	requireExpiry(t, f, "k", 5)
}

// The answer of a copy is the first one, whatever became of the key, and whoever leads by then.
func TestATouchIsAnsweredOnce(t *testing.T) {
	f, id := newest(t)
	must(t, f, writes(put("k", "v")), once(id, 1, 1, touch("k", 10)), once(id, 1, 2, touch("absent", 10)),
		writes(remove("k"), put("absent", "v")))
	for _, name := range []string{"the same", "after a restart"} {
		one := must(t, f, once(id, 1, 1, touch("k", 10))).Results[0]
		two := must(t, f, once(id, 1, 2, touch("absent", 10))).Results[0]
		if !one.Existed || two.Existed || one.Err != nil || two.Err != nil || one.Kind != KindTouch {
			t.Fatalf("%s: %+v, %+v", name, one, two)
		}
		requireExpiry(t, f, "absent", 0)
		if r := must(t, f, once(id, 1, 1, put("k", "v"))).Results[0]; codeOf(r.Err) != invalid {
			t.Fatalf("%s: another operation got %+v", name, r)
		}
		f = newFSM(t, f.engine)
	}
}

func TestTheTimeToLiveIsBounded(t *testing.T) {
	f, _ := newest(t)
	results := must(t, f, writes(mortal("k", "v", TTLMsMax), mortal("l", "v", TTLMsMax+1), touch("k", math.MaxUint64), touch("", 1))).Results
	for i, want := range []errpb.ErrorCode{0, invalid, invalid, invalid} {
		if codeOf(results[i].Err) != want {
			t.Errorf("write %d: %v", i, results[i].Err)
		}
	}
	requireExpiry(t, f, "k", TTLMsMax)
	requireAbsent(t, f, "l")
}

func TestOnlyWhatIsDueExpires(t *testing.T) {
	f, _ := newest(t)
	must(t, f, at(1_000, writes(mortal("k", "v", 100), mortal("later", "v", 101), put("never", "v"))))
	// Who names a key decides nothing.
	if a := must(t, f, at(1_099, expire("k", "later", "never", "absent", ""))); !a.Already {
		t.Fatalf("%+v", a)
	}
	requireValue(t, f, "k", "v", 1)
	if a := must(t, f, at(1_100, expire("later", "k", "k", "never"))); a.Already {
		t.Fatalf("%+v", a)
	}
	requireAbsent(t, f, "k")
	requireExpiry(t, f, "later", 1_101)
	requireExpiry(t, f, "never", 0)
	// A stamp that is behind does not bring time back.
	must(t, f, at(1_200, writes()), at(3, expire("later")))
	requireAbsent(t, f, "later")
	requireRows(t, f)
}

func TestWhatWasWrittenSinceSomebodyLookedDoesNotExpire(t *testing.T) {
	for name, w := range map[string]*pb.Write{
		"a put": put("k", "w"), "a longer one": mortal("k", "w", 60), "a touch": touch("k", 60), "none any more": touch("k", 0),
	} {
		f, _ := newest(t)
		must(t, f, writes(mortal("k", "v", 50)), at(40, writes(w)), at(60, expire("k")))
		if _, found, err := f.Get([]byte("k")); !found || err != nil {
			t.Errorf("%s: gone, error %v", name, err)
		}
		requireRows(t, f)
	}
	// And what was deleted and is there again has a life of its own.
	f, _ := newest(t)
	must(t, f, writes(mortal("k", "v", 50)), at(40, writes(remove("k"), mortal("k", "w", 100))), at(60, expire("k")))
	requireValue(t, f, "k", "w", 2)
}

func TestVersionsCountOnAfterExpiry(t *testing.T) {
	f, _ := newest(t)
	must(t, f, writes(put("k", "1"), put("k", "2"), mortal("k", "3", 5)), at(5, expire("k")))
	if got := must(t, f, writes(put("k", "4"))).Results[0]; got.Version != 4 {
		t.Fatalf("version %d was given again", got.Version)
	}
	must(t, f, writes(mortal("k", "5", 5)), at(20, expire("k")))
	restarted := newFSM(t, f.engine)
	if got := must(t, restarted, writes(put("k", "6"))).Results[0]; got.Version != 6 {
		t.Fatalf("version %d after a restart", got.Version)
	}
}

// From the freeze on nothing changes at the giver, and before the activation nothing but what it sends at the receiver.
func TestNothingExpiresWhileAPartitionMoves(t *testing.T) {
	f, _ := newest(t)
	number := uint32(command.Partition([]byte("k")))
	mine := span(number, number)
	must(t, f, writes(mortal("k", "v", 10)), move(stepFreeze, 2, mine), at(20, expire("k")))
	requireExpiry(t, f, "k", 10)
	if due, err := f.Due(20); err != nil || len(due.Keys) > 0 || due.Next != freezeMs {
		t.Fatalf("%+v %v", due, err)
	}
	if due, err := f.Due(freezeMs); err != nil || len(due.Keys) != 1 {
		t.Fatalf("what the end of a freeze would let go: %+v %v", due, err)
	}
	must(t, f, move(stepThaw, 2, mine))
	if due, err := f.Due(20); err != nil || len(due.Keys) != 1 {
		t.Fatalf("%+v %v", due, err)
	}
	must(t, f, expire("k"))
	requireAbsent(t, f, "k")

	must(t, f, writes(mortal("k", "v", 10)), move(stepFreeze, 3, mine), move(stepRelease, 3, mine), at(100, expire("k")))
	if f.state.expiries["k"] == 0 {
		t.Fatal("a released key expired: the sweep would not be what deletes it")
	}
	must(t, f, sweep("k"), swept(3, mine))
	requireRows(t, f)
	if len(f.state.expiries) > 0 {
		t.Fatalf("after the sweep: %v", f.state.expiries)
	}
	r := record("k", "v", 9)
	r.TtlMs = 10
	must(t, f, move(stepImport, 4, mine), at(200, records(4, r)), at(500, expire("k")))
	if f.state.expiries["k"] != 210 {
		t.Fatalf("an imported key is due at %d", f.state.expiries["k"])
	}
	must(t, f, complete(4, 0, mine), move(stepActivate, 4, mine), expire("k"))
	requireAbsent(t, f, "k")
}

// What is left counts, whatever the two shards' log times are.
func TestATimeToLiveMovesAsWhatIsLeft(t *testing.T) {
	giver, _ := newest(t)
	must(t, giver, at(1_000_000, writes(mortal("k", "v", 100), mortal("due", "v", 1), put("never", "v"))), at(1_000_040, writes()))
	x := exported(t, giver, 2, all())
	left := map[string]uint64{}
	if err := x.Records(func(r engine.Record) bool { left[string(r.Key)] = x.Left(r); return true }); err != nil {
		t.Fatal(err)
	}
	if want := map[string]uint64{"k": 60, "due": 1, "never": 0}; fmt.Sprint(left) != fmt.Sprint(want) {
		t.Fatalf("left: %v, want %v", left, want)
	}
	x.Now = func() uint64 { return 1_000_090 }
	if r, _, err := x.Get("k"); err != nil || x.Left(r) != 10 {
		t.Fatalf("left by the leader's time: %d, error %v", x.Left(r), err)
	}
	// A touch is a change that the receiver hears of.
	must(t, giver, writes(touch("never", 5)))
	requireChanged(t, x, false, "never")

	receiver := newFSM(t, memory.New())
	apply(t, receiver, 1, assign(1))
	must(t, receiver, raise(command.Format), move(stepImport, 2, all()))
	r := record("k", "v", 7)
	r.TtlMs = left["k"]
	must(t, receiver, at(40, records(2, r)))
	if receiver.state.expiries["k"] != 100 {
		t.Fatalf("due at %d, want 100", receiver.state.expiries["k"])
	}
	// What the giver has deleted, or given another time since, comes again.
	r.TtlMs = 0
	must(t, receiver, records(2, r))
	requireRows(t, receiver)
	r.TtlMs = TTLMsMax + 1
	if a := applyIn(t, receiver, receiver.state.applied+1, records(2, r), command.Format); codeOf(a.Err) != invalid {
		t.Fatalf("%v", a.Err)
	}
	r.TtlMs = 9
	removed := records(2, r)
	removed.GetImport().Removed = [][]byte{[]byte("k")}
	must(t, receiver, removed, complete(2, 7, all()), move(stepActivate, 2, all()))
	requireAbsent(t, receiver, "k")
	requireRows(t, receiver)
}

// Nobody writes: the entry that ends the freeze is the one that expires the key.
func TestAKeyExpiresWithTheEndOfAFreeze(t *testing.T) {
	f, _ := newest(t)
	number := uint32(command.Partition([]byte("k")))
	must(t, f, writes(mortal("k", "v", 10)), move(stepFreeze, 2, span(number, number)), at(freezeMs-1, expire("k")))
	requireExpiry(t, f, "k", 10)
	must(t, f, at(freezeMs, expire("k")))
	requireAbsent(t, f, "k")
	must(t, f, writes(mortal("k", "v", 10)), move(stepFreeze, 3, span(number, number)), move(stepRelease, 3, span(number, number)))
	if due, err := f.Due(math.MaxUint64 - 1); err != nil || len(due.Keys) > 0 || due.Next != 0 {
		t.Fatalf("what is released is due: %+v %v", due, err)
	}
}

func TestExpiryRowsTravelWithASnapshot(t *testing.T) {
	f, _ := newest(t)
	must(t, f, at(100, writes(mortal("k", "v", 50), put("l", "v"))))
	other := newFSM(t, memory.New())
	if err := other.Restore(stream(t, f.engine)); err != nil {
		t.Fatal(err)
	}
	requireExpiry(t, other, "k", 150)
	for _, f := range []*FSM{f, other, newFSM(t, f.engine)} {
		due, err := f.Due(150)
		if err != nil || len(due.Keys) != 1 || string(due.Keys[0]) != "k" {
			t.Fatalf("%q %v", due.Keys, err)
		}
	}
	must(t, other, at(150, expire("k")))
	requireAbsent(t, other, "k")
}

func TestExpiryRowsGoldenAndRefused(t *testing.T) {
	if got := expiryKey(0x0102030405060708, "k"); !bytes.Equal(got, []byte{4, 1, 2, 3, 4, 5, 6, 7, 8, 'k'}) {
		t.Fatalf("row %x", got)
	}
	for name, rows := range map[string][][]byte{
		"without a key":  {expiryKey(5, "")},
		"too short":      {{spaceExpiry, 1}},
		"too long":       {expiryKey(5, string(make([]byte, KeyBytesMax+1)))},
		"never":          {expiryKey(0, "k")},
		"a key with two": {expiryKey(5, "k"), expiryKey(6, "k")},
	} {
		e := memory.New()
		batch := engine.NewBatch(1)
		batch.Put(engine.Record{Key: headKey, Value: head{format: 3, index: 1, term: 1}.encode()})
		for _, row := range rows {
			batch.Put(engine.Record{Key: row})
		}
		if err := e.Apply(batch); err != nil {
			t.Fatal(err)
		}
		_, err := New(e, Options{Log: quiet()})
		t.Run(name, func(t *testing.T) { requireCode(t, err, errpb.ErrorCode_ERROR_CODE_CORRUPT) })
	}
}
