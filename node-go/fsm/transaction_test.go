package fsm

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

const (
	equal    = pb.Condition_COMPARISON_EQUAL
	notEqual = pb.Condition_COMPARISON_NOT_EQUAL
	less     = pb.Condition_COMPARISON_LESS
	greater  = pb.Condition_COMPARISON_GREATER

	tooLarge   = errpb.ErrorCode_ERROR_CODE_TOO_LARGE
	crossShard = errpb.ErrorCode_ERROR_CODE_CROSS_SHARD
	overloaded = errpb.ErrorCode_ERROR_CODE_OVERLOADED
)

// ifVersion and its like are conditions on keys.
func ifVersion(key string, comparison pb.Condition_Comparison, version uint64) *pb.Condition {
	return &pb.Condition{Key: []byte(key), Comparison: comparison, Operand: &pb.Condition_Version{Version: version}}
}

func ifValue(key string, comparison pb.Condition_Comparison, value string) *pb.Condition {
	return &pb.Condition{Key: []byte(key), Comparison: comparison, Operand: &pb.Condition_Value{Value: []byte(value)}}
}

func ifExists(key string, comparison pb.Condition_Comparison, exists bool) *pb.Condition {
	return &pb.Condition{Key: []byte(key), Comparison: comparison, Operand: &pb.Condition_Exists{Exists: exists}}
}

// step is the operation of a transaction that a write is by itself.
func step(write *pb.Write) *pb.TransactionOperation {
	switch kind := write.Kind.(type) {
	case *pb.Write_Put:
		return &pb.TransactionOperation{Kind: &pb.TransactionOperation_Put{Put: kind.Put}}
	case *pb.Write_Delete:
		return &pb.TransactionOperation{Kind: &pb.TransactionOperation_Delete{Delete: kind.Delete}}
	case *pb.Write_Append:
		return &pb.TransactionOperation{Kind: &pb.TransactionOperation_Append{Append: kind.Append}}
	default:
		return &pb.TransactionOperation{Kind: &pb.TransactionOperation_Increment{Increment: write.GetIncrement()}}
	}
}

func steps(list ...*pb.Write) (steps []*pb.TransactionOperation) {
	for _, write := range list {
		steps = append(steps, step(write))
	}
	return steps
}

func get(key string) *pb.TransactionOperation {
	return &pb.TransactionOperation{Kind: &pb.TransactionOperation_Get{Get: &pb.Get{Key: []byte(key)}}}
}

func transact(conditions []*pb.Condition, then, otherwise []*pb.TransactionOperation) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Transaction{Transaction: &pb.Transaction{Conditions: conditions, Then: then, Otherwise: otherwise}}}
}

// gets is a read of keys at one moment.
func gets(keys ...string) *pb.Write {
	var list []*pb.TransactionOperation
	for _, key := range keys {
		list = append(list, get(key))
	}
	return transact(nil, list, nil)
}

func TestConditionsOfATransaction(t *testing.T) {
	f, _ := newest(t)
	applyNewest(t, f, writes(put("{a}k", "v"), put("{a}k", "w"), put("{a}empty", "")))
	for i, c := range []struct {
		condition *pb.Condition
		want      bool
	}{
		{ifVersion("{a}k", equal, 2), true}, {ifVersion("{a}k", equal, 1), false},
		{ifVersion("{a}k", notEqual, 1), true}, {ifVersion("{a}k", notEqual, 2), false},
		{ifVersion("{a}k", less, 3), true}, {ifVersion("{a}k", less, 2), false},
		{ifVersion("{a}k", greater, 1), true}, {ifVersion("{a}k", greater, 2), false},
		{ifVersion("{a}none", equal, 0), true}, {ifVersion("{a}none", greater, 0), false}, {ifVersion("{a}none", less, 1), true},
		{ifValue("{a}k", equal, "w"), true}, {ifValue("{a}k", equal, "v"), false}, {ifValue("{a}k", notEqual, "v"), true}, {ifValue("{a}k", notEqual, "w"), false},
		{ifValue("{a}empty", equal, ""), true}, {ifValue("{a}none", equal, ""), false}, {ifValue("{a}none", notEqual, ""), true},
		{ifExists("{a}k", equal, true), true}, {ifExists("{a}k", equal, false), false}, {ifExists("{a}k", notEqual, true), false},
		{ifExists("{a}none", equal, false), true}, {ifExists("{a}none", notEqual, false), false}, {ifExists("{a}empty", equal, true), true},
	} {
		got := applyNewest(t, f, writes(transact([]*pb.Condition{c.condition}, nil, nil)))[0]
		if got.Err != nil || got.Transaction.Succeeded != c.want {
			t.Fatalf("condition %d, %v: %+v", i, c.condition, got)
		}
	}
	both := func(one, other bool) *pb.Write {
		return transact([]*pb.Condition{ifExists("{a}k", equal, one), ifExists("{a}none", notEqual, other)}, steps(add("{a}k", "1")), steps(add("{a}k", "0")))
	}
	applyNewest(t, f, writes(both(true, true), both(true, false), both(false, true), both(false, false)))
	requireValue(t, f, "{a}k", "w1000", 6)
}

func TestATransactionSeesItsOwnWrites(t *testing.T) {
	f, _ := newest(t)
	then := append(steps(put("{a}k", "v"), add("{a}k", "w")), get("{a}k"))
	then = append(then, steps(increment("{a}n", 2), increment("{a}n", 3), remove("{a}k", 2))...)
	then = append(then, get("{a}k"), get("{a}n"))
	then = append(then, steps(put("{a}k", "again", 0))...)
	results := applyNewest(t, f, writes(increment("{a}n", 10), transact(nil, then, nil), add("{a}k", "!")))
	got := results[1].Transaction
	want := []Result{
		{Kind: KindPut, Version: 1}, {Kind: KindAppend, Version: 2, Length: 2}, {Kind: KindGet, Previous: &Previous{2, []byte("vw")}},
		{Kind: KindIncrement, Version: 2, Value: 12}, {Kind: KindIncrement, Version: 3, Value: 15}, {Kind: KindDelete, Existed: true},
		{Kind: KindGet}, {Kind: KindGet, Previous: &Previous{3, []byte("15")}}, {Kind: KindPut, Version: 3},
	}
	if got == nil || !got.Succeeded || !reflect.DeepEqual(got.Results, want) {
		t.Fatalf("%+v %v", got, results[1].Err)
	}
	requireValue(t, f, "{a}k", "again!", 4)
}

// Whatever an operation meets, the entry goes on as if there had been no transaction.
func TestAFailedTransactionChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		fails *pb.Write
		code  errpb.ErrorCode
	}{
		"precondition":    {put("{a}new", "x", 7), failed},
		"no number":       {increment("{a}word", 1), noNumber},
		"overflow":        {increment("{a}top", 1), overflow},
		"append too long": {&pb.Write{Kind: &pb.Write_Append{Append: &pb.Append{Key: []byte("{a}k"), Value: []byte("xyz"), Limit: 3}}}, tooLarge},
	} {
		for _, otherwise := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, else: %v", name, otherwise), func(t *testing.T) {
				before := func() []*pb.Write {
					return []*pb.Write{put("{a}word", "x"), put("{a}top", "9223372036854775807"), add("{a}k", "1"), add("{a}k", "2"), put("{a}gone", "g")}
				}
				doomed := steps(add("{a}k", "3"), put("{a}new", "n"), remove("{a}gone"), remove("{a}word"), put("{a}word", "y"), put("{a}k", "4"), c.fails)
				write, position := transact(nil, doomed, steps(put("{a}other", "o"))), uint32(len(doomed))
				if otherwise {
					write, position = transact([]*pb.Condition{ifExists("{a}new", equal, true)}, steps(put("{a}other", "o")), doomed), uint32(len(doomed)+1)
				}
				f, _ := newest(t)
				plain, _ := newest(t)
				results := applyNewest(t, f, writes(append(before(), write, add("{a}k", "5"), put("{a}new", "z"))...))
				applyNewest(t, plain, writes(append(before(), add("{a}k", "5"), put("{a}new", "z"))...))
				got := results[5]
				if codeOf(got.Err) != c.code || got.Err.Operation != position || got.Transaction != nil {
					t.Fatalf("%+v", got)
				}
				if !bytes.Equal(content(t, f.engine), content(t, plain.engine)) || !sameState(f.state, plain.state) {
					t.Fatal("something is left of it")
				}
			})
		}
	}
}

func TestWhatIsNoTransaction(t *testing.T) {
	f, _ := newest(t)
	many := make([]*pb.TransactionOperation, TransactionOperationsMax)
	for i := range many {
		many[i] = step(increment("{a}n", 1))
	}
	long := strings.Repeat("x", TransactionBytesMax/2)
	for name, c := range map[string]struct {
		write *pb.Write
		code  errpb.ErrorCode
	}{
		"nothing":                         {transact(nil, nil, nil), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		"an empty key":                    {transact(nil, steps(put("", "v")), nil), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		"a key too long":                  {transact(nil, nil, steps(remove(strings.Repeat("k", KeyBytesMax+1)))), tooLarge},
		"as many as may be":               {transact(nil, many, nil), 0},
		"one more":                        {transact([]*pb.Condition{ifExists("{a}n", equal, true)}, many, nil), tooLarge},
		"too many bytes, in two branches": {transact(nil, steps(put("{a}k", long)), steps(put("{a}l", long))), tooLarge},
		"two partitions":                  {transact(nil, steps(put("{a}k", "v"), put("{b}k", "v")), nil), crossShard},
		"a condition elsewhere":           {transact([]*pb.Condition{ifExists("b", equal, false)}, steps(put("a", "v")), nil), crossShard},
		"the other branch elsewhere":      {transact(nil, steps(put("a", "v")), steps(remove("b"))), crossShard},
	} {
		t.Run(name, func(t *testing.T) {
			got := applyNewest(t, f, writes(c.write))[0]
			if codeOf(got.Err) != c.code {
				t.Fatalf("%v", got.Err)
			}
			if c.code == crossShard && !strings.Contains(got.Err.Message, "hash tag") {
				t.Fatalf("%v", got.Err)
			}
		})
	}
	for _, key := range []string{"{a}k", "{a}l", "a", "b", "{b}k"} {
		requireAbsent(t, f, key)
	}
}

// A get of a transaction says what is left, as any get does, also to whoever asks again later.
func TestAGetInATransactionSaysWhatIsLeft(t *testing.T) {
	f, id := newest(t)
	must(t, f, at(1_000, writes(mortal("{a}k", "v", 100), mortal("{a}due", "v", 10), put("{a}never", "v"))))
	then := append(steps(mortal("{a}new", "v", 7)), gets("{a}k", "{a}due", "{a}never", "{a}none", "{a}new").GetTransaction().Then...)
	left := func(stampMs uint64) (list []string) {
		result := applyNewest(t, f, at(stampMs, once(id, 1, 1, transact(nil, then, nil))))[0]
		for _, one := range result.Transaction.Results[1:] {
			words := "for ever"
			if one.Left != nil {
				words = fmt.Sprint(*one.Left)
			}
			list = append(list, words)
		}
		return list
	}
	want := []string{"60", "0", "for ever", "for ever", "7"}
	if got := left(1_040); !slices.Equal(got, want) {
		t.Fatalf("left are %q, want %q", got, want)
	}
	f = newFSM(t, f.engine)
	if got := left(1_090); !slices.Equal(got, want) {
		t.Fatalf("left are %q to a copy, first %q", got, want)
	}
}

// A copy gets the first answer, also from the rows that another replica loads, whatever has become of the keys.
func TestARepeatedTransactionIsNotCarriedOutAgain(t *testing.T) {
	f, id := newest(t)
	applyNewest(t, f, writes(put("{a}word", "x"), put("{a}k", "v")))
	ifThere := []*pb.Condition{ifExists("{a}k", equal, true)}
	for sequence, w := range []func() *pb.Write{
		func() *pb.Write {
			then := append(steps(increment("{a}n", -300), add("{a}log", "1"), remove("{a}k"), remove("{a}none")), get("{a}k"), get("{a}word"))
			return transact(ifThere, then, steps(put("{a}else", "!")))
		},
		func() *pb.Write { return transact(ifThere, steps(put("{a}then", "!")), steps(add("{a}log", "2"))) },
		func() *pb.Write { return transact(nil, steps(put("{a}k", "w"), increment("{a}word", 1)), nil) },
		func() *pb.Write { return transact(ifThere, nil, nil) },
		func() *pb.Write { return transact(nil, steps(put("{a}k", "w"), put("b", "w")), nil) },
	} {
		number := uint64(sequence + 1)
		first := applyNewest(t, f, once(id, 1, number, w()))[0]
		applyNewest(t, f, writes(put("{a}k", "other"), put("{a}word", "1")))
		for range 2 {
			again := applyNewest(t, f, once(id, 1, number, w()))[0]
			if codeOf(again.Err) != codeOf(first.Err) || first.Err != nil && (again.Err.Version != first.Err.Version || again.Err.Operation != first.Err.Operation) {
				t.Fatalf("write %d: first %v, then %v", sequence, first.Err, again.Err)
			}
			if !reflect.DeepEqual(first.Transaction, again.Transaction) {
				t.Fatalf("write %d: first %+v, then %+v", sequence, first.Transaction, again.Transaction)
			}
			loaded := newFSM(t, f.engine)
			if !sameState(f.state, loaded.state) {
				t.Fatalf("write %d: another state when loaded", sequence)
			}
			f = loaded
		}
		applyNewest(t, f, writes(remove("{a}k"), put("{a}word", "x")))
	}
	requireValue(t, f, "{a}n", "-300", 1)
	requireValue(t, f, "{a}log", "12", 2)
}

func TestAnswersOfTransactionsAreBounded(t *testing.T) {
	f, id := newest(t)
	value := strings.Repeat("x", PreviousBytesMax/2)
	applyNewest(t, f, writes(put("{a}1", value), put("{a}2", value), put("{a}3", "y")))
	if got := applyNewest(t, f, writes(gets("{a}1", "{a}3", "{a}2")))[0].Err; codeOf(got) != tooLarge || got.Operation != 3 {
		t.Fatalf("%v", got)
	}
	cost := PreviousBytesMax + 2*resultKept
	fit := uint64(keptBytesMax / cost)
	for number := uint64(2); number <= fit+1; number++ {
		if got := applyNewest(t, f, once(id, 1, number, gets("{a}1", "{a}2")))[0]; got.Err != nil {
			t.Fatalf("transaction %d: %v", number, got.Err)
		}
	}
	if kept := f.state.sessions.kept; kept != int(fit)*cost {
		t.Fatalf("%d bytes are kept, want %d", kept, int(fit)*cost)
	}
	requireCode(t, applyNewest(t, f, once(id, 1, fit+2, gets("{a}1", "{a}2")))[0].Err, overloaded)
	if got := applyNewest(t, f, once(id, fit+2, fit+2, gets("{a}1", "{a}2")))[0]; got.Err != nil {
		t.Fatalf("the client has the answers: %v", got.Err)
	}
	applyNewest(t, f, once(id, fit+3, fit+3, put("k", "v")))
	if f.state.sessions.kept != 0 {
		t.Fatalf("%d bytes are kept for nobody", f.state.sessions.kept)
	}
}

// One that could never have room is told so. One that has none now comes again.
func TestValuesOfATransactionAreBounded(t *testing.T) {
	f, _ := newest(t)
	value := string(make([]byte, ValueBytesMax))
	var all, few []*pb.Condition
	for i := range 10 {
		key := fmt.Sprint("{a}", i)
		applyNewest(t, f, writes(put(key, value)))
		all = append(all, ifValue(key, notEqual, "v"))
	}
	few = all[:transactionValuesMax/ValueBytesMax]
	first := func(i int) *pb.Write { return swap(fmt.Sprint("{b}", i), []byte("other"), "v") }
	var crowd []*pb.Write
	for i := range lookedBytesMax / ValueBytesMax {
		applyNewest(t, f, writes(put(fmt.Sprint("{b}", i), value)))
		crowd = append(crowd, first(i))
	}
	requireCode(t, applyNewest(t, f, writes(transact(all, nil, nil)))[0].Err, tooLarge)
	if got := applyNewest(t, f, writes(transact(few, nil, nil)))[0]; got.Err != nil || !got.Transaction.Succeeded {
		t.Fatalf("%+v", got)
	}
	results := applyNewest(t, f, writes(append(crowd, transact(few, nil, nil))...))
	requireCode(t, results[len(crowd)].Err, overloaded)
}

// While its partition moves a transaction is refused as a write is, and means the same at the new owner.
func TestATransactionDuringAMove(t *testing.T) {
	f, id := newest(t)
	applyNewest(t, f, writes(put("{a}k", "v")))
	write := func() *pb.Write {
		return transact([]*pb.Condition{ifVersion("{a}k", equal, 7)}, steps(increment("{a}n", 1)), nil)
	}
	if got := f.Frozen(write(), 0); got != nil {
		t.Fatalf("nothing is frozen: %v", got)
	}
	number := uint32(command.Partition([]byte("{a}k")))
	if a := applyIn(t, f, f.state.applied+1, move(stepFreeze, 2, span(number, number)), command.Format); a.Err != nil {
		t.Fatal(a.Err)
	}
	moving := errpb.ErrorCode_ERROR_CODE_MOVING
	requireCode(t, f.Frozen(write(), 0), moving)
	requireCode(t, applyNewest(t, f, once(id, 1, 1, write()))[0].Err, moving)
	if a := applyIn(t, f, f.state.applied+1, move(stepRelease, 2, span(number, number)), command.Format); a.Err != nil {
		t.Fatal(a.Err)
	}
	requireCode(t, applyNewest(t, f, writes(write()))[0].Err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
	regain(t, f, 3, span(number, number), record("{a}k", "v", 7), record("{a}n", "41", 3))
	if got := applyNewest(t, f, once(id, 1, 1, write()))[0]; got.Err != nil || !got.Transaction.Succeeded {
		t.Fatalf("%+v", got)
	}
	requireValue(t, f, "{a}n", "42", 4)
}

func TestTransactionRowsGolden(t *testing.T) {
	f, id := newest(t)
	tag := keyIn(t, 258)
	c := once(id, 1, 1, transact(nil, append(steps(increment(tag, -2), put(tag, "v"), remove(tag, 9)), get(tag)), nil))
	w := transact([]*pb.Condition{ifExists(tag, equal, true)}, nil, append(steps(increment(tag, -2), add(tag, "0"), remove(tag)), get(tag)))
	w.GetTransaction().Otherwise = append(w.GetTransaction().Otherwise[:2], get(tag), step(remove(tag)), get(tag))
	w.Session, w.Sequence = 1, 2
	c.GetWrite().Writes = append(c.GetWrite().Writes, w)
	applyNewest(t, f, c)
	want := append([]byte{0x60, 0xea, 0, 0}, make([]byte, 16)...)
	want[12] = 1
	want = append(want, 0x00, 0x07, 0x82, 0x02, 0x09, 0x00, 0x03) // refused, the key is absent, operation 3
	want = append(want, 0x01, 0x07, 0x82, 0x02, 0x00, 0x00, 0x05) // else, five results
	want = append(want, 0x06, 0x01, 0x03, 0x03, 0x02, 0x03)       // -2, version 1; version 2, length 3
	want = append(want, 0x48, 0x00, 0x00, 0x02, 0x03, '-', '2', '0')
	want = append(want, 0x02, 0x01, 0x00, 0x08, 0x00, 0x00) // it existed; it is gone
	if got := f.state.sessions.byID[id].encode(); !bytes.Equal(got, want) {
		t.Fatalf("row %x, want %x", got, want)
	}
	for cut := len(want) - 1; cut > sessionHeadBytes; cut-- {
		s, ok := decodeSession(sessionKey(id), want[:cut])
		if ok && !bytes.Equal(s.encode(), want[:cut]) {
			t.Fatalf("%d bytes of a row were taken for %+v", cut, s)
		}
	}
}
