package fsm

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

const (
	failed   = errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED
	noNumber = errpb.ErrorCode_ERROR_CODE_NOT_A_NUMBER
	overflow = errpb.ErrorCode_ERROR_CODE_OVERFLOW
)

func swap(key string, expected []byte, value string) *pb.Write {
	return &pb.Write{Kind: &pb.Write_CompareAndSet{
		CompareAndSet: &pb.CompareAndSet{Key: []byte(key), Expected: expected, Value: []byte(value)},
	}}
}

func increment(key string, by int64) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Increment{Increment: &pb.Increment{Key: []byte(key), By: by}}}
}

// exchange is a put that gives back what it replaces.
func exchange(key, value string, ifVersion ...uint64) *pb.Write {
	w := put(key, value, ifVersion...)
	w.GetPut().ReturnPrevious = true
	return w
}

func take(key string, ifVersion ...uint64) *pb.Write {
	w := remove(key, ifVersion...)
	w.GetDelete().ReturnPrevious = true
	return w
}

// newest is a state machine that owns everything, uses the newest format, and has a session.
func newest(t *testing.T) (*FSM, SessionID) {
	t.Helper()
	f, id := opened(t, 60_000)
	applyNext(t, f, raise(command.Format))
	return f, id
}

func applyNewest(t *testing.T, f *FSM, c *pb.Command) []Result {
	t.Helper()
	return applyIn(t, f, f.state.applied+1, c, command.Format).Results
}

func TestCompareAndSet(t *testing.T) {
	for name, c := range map[string]struct {
		before   []*pb.Write
		expected []byte
		code     errpb.ErrorCode
		version  uint64
	}{
		"absent, expected":         {nil, nil, 0, 1},
		"absent, not expected":     {nil, []byte{}, failed, 0},
		"the value":                {[]*pb.Write{put("k", "v")}, []byte("v"), 0, 2},
		"an empty one":             {[]*pb.Write{put("k", "")}, []byte{}, 0, 2},
		"another":                  {[]*pb.Write{put("k", "v")}, []byte("V"), failed, 1},
		"a beginning":              {[]*pb.Write{put("k", "v")}, []byte("vv"), failed, 1},
		"absence, and it is there": {[]*pb.Write{put("k", "")}, nil, failed, 1},
		"after a delete":           {[]*pb.Write{put("k", "v"), remove("k")}, nil, 0, 2},
		"what was appended":        {[]*pb.Write{put("k", "v"), add("k", "w")}, []byte("vw"), 0, 3},
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, in one entry: %v", name, together), func(t *testing.T) {
				f, _ := newest(t)
				list := append([]*pb.Write(nil), c.before...)
				if !together {
					applyNewest(t, f, writes(list...))
					list = nil
				}
				results := applyNewest(t, f, writes(append(list, swap("k", c.expected, "new"))...))
				got := results[len(results)-1]
				if codeOf(got.Err) != c.code || c.code == 0 && got.Version != c.version || c.code != 0 && got.Err.Version != c.version {
					t.Fatalf("%+v", got)
				}
				if c.code == 0 {
					requireValue(t, f, "k", "new", c.version)
				} else if now, _, err := f.Get([]byte("k")); err != nil || now.Version != c.version || string(now.Value) == "new" {
					t.Fatalf("it changed something: %v %v", now, err)
				}
			})
		}
	}
}

func TestWhatDidNotHoldIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		before []*pb.Write
		write  *pb.Write
		says   string
	}{
		"absent was asked for": {[]*pb.Write{put("k", "a")}, put("k", "b", 0), "the key is there already, with version 1"},
		"a version of none":    {nil, put("k", "b", 3), "the key is absent, not of version 3"},
		"another version":      {[]*pb.Write{put("k", "a")}, remove("k", 3), "the key's version is 1, not 3"},
		"no value was asked for": {
			[]*pb.Write{put("k", "a")}, swap("k", nil, "b"), "the key is there already, with version 1",
		},
		"a value of none": {nil, swap("k", []byte("a"), "b"), "the key is absent, and was expected to have a value"},
		"another value": {
			[]*pb.Write{put("k", "a")}, swap("k", []byte("x"), "b"),
			"the key's value is not the expected one; its version is 1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := newest(t)
			if len(c.before) > 0 {
				applyNewest(t, f, writes(c.before...))
			}
			result := applyNewest(t, f, writes(c.write))[0]
			if err := requireCode(t, result.Err, failed); err.Message != c.says {
				t.Fatalf("%q, not %q", err.Message, c.says)
			}
		})
	}
}

func TestIncrement(t *testing.T) {
	const top, bottom = "9223372036854775807", "-9223372036854775808"
	for _, c := range []struct {
		value string
		by    int64
		sum   int64
		code  errpb.ErrorCode
	}{
		{"0", 1, 1, 0}, {"41", 1, 42, 0}, {"1", -3, -2, 0}, {"-1", 1, 0, 0}, {"7", 0, 7, 0},
		{top, -1, math.MaxInt64 - 1, 0}, {top, math.MinInt64, -1, 0}, {bottom, math.MaxInt64, -1, 0}, {bottom, 0, math.MinInt64, 0},
		{top, 1, 0, overflow}, {"1", math.MaxInt64, 0, overflow}, {bottom, -1, 0, overflow}, {"-1", math.MinInt64, 0, overflow},
		{"", 1, 0, noNumber}, {"-0", 1, 0, noNumber}, {"01", 1, 0, noNumber}, {"+1", 1, 0, noNumber}, {" 1", 1, 0, noNumber},
		{"1 ", 1, 0, noNumber}, {"1_0", 1, 0, noNumber}, {"0x1", 1, 0, noNumber}, {"1.0", 1, 0, noNumber}, {"x", 0, 0, noNumber},
		{"9223372036854775808", -1, 0, noNumber}, {strings.Repeat("9", 1<<20), 1, 0, noNumber},
	} {
		f, _ := newest(t)
		applyNewest(t, f, writes(put("k", c.value)))
		got := applyNewest(t, f, writes(increment("k", c.by)))[0]
		if codeOf(got.Err) != c.code || got.Value != c.sum {
			t.Fatalf("%.30q and %d: %+v", c.value, c.by, got)
		}
		if c.code == 0 {
			requireValue(t, f, "k", fmt.Sprint(c.sum), 2)
			continue
		}
		if got.Err.Version != 1 {
			t.Fatalf("%.30q and %d: %v of version %d", c.value, c.by, got.Err, got.Err.Version)
		}
		requireValue(t, f, "k", c.value, 1)
	}
}

func TestIncrementsOfOneEntrySeeEachOther(t *testing.T) {
	f, _ := newest(t)
	results := applyNewest(t, f, writes(increment("n", 1), increment("n", 1), add("n", "0"), increment("n", 1), remove("n"), increment("n", -1)))
	for i, want := range map[int]int64{0: 1, 1: 2, 3: 21, 5: -1} {
		if results[i].Err != nil || results[i].Value != want {
			t.Fatalf("write %d: %+v, want %d", i, results[i], want)
		}
	}
	requireValue(t, f, "n", "-1", 5)
}

func TestWhatWasReplacedIsGivenBack(t *testing.T) {
	f, _ := newest(t)
	large := strings.Repeat("x", PreviousBytesMax+1)
	applyNewest(t, f, writes(put("large", large), put("fits", large[1:])))
	for i, c := range []struct {
		write    *pb.Write
		code     errpb.ErrorCode
		previous *Previous
	}{
		{exchange("k", "1"), 0, nil},
		{exchange("k", "2"), 0, &Previous{1, []byte("1")}},
		{put("k", "3"), 0, nil},
		{exchange("k", "4", 9), failed, nil},
		{exchange("k", "", 3), 0, &Previous{3, []byte("3")}},
		{take("k", 9), failed, nil},
		{take("k", 4), 0, &Previous{4, []byte{}}},
		{take("k"), 0, nil},
		{exchange("k", "5", 0), 0, nil},
		{exchange("large", "v"), errpb.ErrorCode_ERROR_CODE_TOO_LARGE, nil},
		{take("large"), errpb.ErrorCode_ERROR_CODE_TOO_LARGE, nil},
		{take("fits"), 0, &Previous{1, []byte(large[1:])}},
	} {
		got := applyNewest(t, f, writes(c.write))[0]
		if codeOf(got.Err) != c.code || !reflect.DeepEqual(got.Previous, c.previous) {
			t.Fatalf("write %d: %+v, %v", i, got, got.Previous)
		}
	}
	requireValue(t, f, "large", large, 1)
	requireValue(t, f, "k", "5", 5)
}

// The condition of a copy may hold by the time it comes, or not any more: it gets the first answer all the same.
func TestARepeatedConditionIsNotLookedAtAgain(t *testing.T) {
	f, id := newest(t)
	applyNewest(t, f, writes(put("n", "5"), put("word", "x"), put("top", "9223372036854775807"), put("e", "old")))
	for sequence, w := range []func() *pb.Write{
		func() *pb.Write { return swap("k", nil, "v") },
		func() *pb.Write { return swap("k", []byte("other"), "w") },
		func() *pb.Write { return increment("n", -8) },
		func() *pb.Write { return increment("word", 1) },
		func() *pb.Write { return increment("top", 1) },
		func() *pb.Write { return exchange("e", "new") },
		func() *pb.Write { return take("e") },
		func() *pb.Write { return take("e") },
	} {
		number := uint64(sequence + 1)
		first := applyNewest(t, f, once(id, 1, number, w()))[0]
		applyNewest(t, f, writes(put("k", "other"), put("word", "1"), put("top", "1")))
		// From this replica's memory, and as another one reads it from the engine.
		for range 2 {
			again := applyNewest(t, f, once(id, 1, number, w()))[0]
			if codeOf(again.Err) != codeOf(first.Err) || first.Err != nil && again.Err.Version != first.Err.Version {
				t.Fatalf("write %d: first %v, then %v", sequence, first.Err, again.Err)
			}
			again.Err = first.Err
			if !reflect.DeepEqual(first, again) {
				t.Fatalf("write %d: first %+v, then %+v", sequence, first, again)
			}
			loaded := newFSM(t, f.engine)
			if !sameState(f.state, loaded.state) {
				t.Fatalf("write %d: another state when loaded", sequence)
			}
			f = loaded
		}
	}
	requireValue(t, f, "n", "-3", 2)
	requireAbsent(t, f, "e")
}

// Told to come again later, with the same number. The client's word that it has the answers makes room.
func TestPreviousValuesOfASessionAreBounded(t *testing.T) {
	f, id := newest(t)
	value := strings.Repeat("x", PreviousBytesMax)
	applyNewest(t, f, writes(put("k", value)))
	fit := uint64(keptBytesMax / PreviousBytesMax)
	for number := uint64(2); number <= fit+1; number++ {
		if got := applyNewest(t, f, once(id, 1, number, exchange("k", value)))[0]; got.Err != nil {
			t.Fatalf("write %d: %v", number, got.Err)
		}
	}
	for range 2 {
		requireCode(t, applyNewest(t, f, once(id, 1, fit+2, take("k")))[0].Err, errpb.ErrorCode_ERROR_CODE_OVERLOADED)
		f = newFSM(t, f.engine)
	}
	if got := applyNewest(t, f, once(id, 1, fit+3, put("k", value)))[0]; got.Err != nil {
		t.Fatalf("it needs no room: %v", got.Err)
	}
	// Nobody else can make room: the client cannot say that it has the answers above one that it waits for.
	if got := applyNewest(t, f, once(id, 1, 1, exchange("k", value)))[0]; got.Err != nil {
		t.Fatalf("the write that the floor waits for: %v", got.Err)
	}
	if got := applyNewest(t, f, once(id, 4, fit+2, take("k")))[0]; got.Err != nil || len(got.Previous.Value) != PreviousBytesMax {
		t.Fatalf("%+v", got)
	}
	applyNewest(t, f, once(id, fit+4, fit+4, put("k", "v")))
	if f.state.sessions.kept != 0 || f.state.sessions.byID[id].kept != 0 {
		t.Fatalf("%d bytes are kept for nobody", f.state.sessions.kept)
	}
}

// What finds no room is not read either, and whatever was read is not read twice.
func TestConditionsOnLargeValuesAreBounded(t *testing.T) {
	f, _ := newest(t)
	const keys = 20
	value := bytes.Repeat([]byte{'x'}, ValueBytesMax)
	for i := range keys {
		applyNewest(t, f, writes(put(fmt.Sprint("large", i), string(value))))
	}
	read := 0
	counting := newFSM(t, &broken{Engine: f.engine, onGet: func() { read++ }})
	var list []*pb.Write
	for i := range 3 * keys {
		list = append(list, swap(fmt.Sprint("large", i%keys), []byte("other"), "v"))
	}
	refusals := map[errpb.ErrorCode]int{}
	for _, result := range applyNewest(t, counting, writes(list...)) {
		refusals[codeOf(result.Err)]++
	}
	fit := lookedBytesMax / ValueBytesMax
	if read != fit || refusals[failed] != 3*fit || refusals[errpb.ErrorCode_ERROR_CODE_OVERLOADED] != 3*(keys-fit) {
		t.Fatalf("%d read, %v", read, refusals)
	}
}

// A key comes with its version, and a condition on it means the same at its new owner.
func TestConditionsHoldAcrossAMove(t *testing.T) {
	f, _ := newest(t)
	release(t, f, 2, all())
	regain(t, f, 3, all(), record("k", "v", 7), record("n", "41", 3), record("e", "old", 5))
	for i, c := range []struct {
		write   *pb.Write
		code    errpb.ErrorCode
		version uint64
	}{
		{put("k", "w", 6), failed, 7},
		{put("k", "w", 0), failed, 7},
		{put("k", "w", 7), 0, 8},
		{swap("k", []byte("v"), "x"), failed, 8},
		{swap("k", []byte("w"), "x"), 0, 9},
		{increment("n", 1), 0, 4},
		{exchange("e", "new", 5), 0, 6},
	} {
		got := applyNewest(t, f, writes(c.write))[0]
		if codeOf(got.Err) != c.code || c.code == 0 && got.Version != c.version || c.code != 0 && got.Err.Version != c.version {
			t.Fatalf("write %d: %+v", i, got)
		}
	}
	requireValue(t, f, "n", "42", 4)
}

func TestNewOperationsOverTheLimitsAreRefusedAlone(t *testing.T) {
	f, _ := newest(t)
	long := strings.Repeat("k", KeyBytesMax+1)
	tooLarge, invalid := errpb.ErrorCode_ERROR_CODE_TOO_LARGE, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT
	results := applyNewest(t, f, writes(swap("k", nil, string(make([]byte, ValueBytesMax+1))), swap(long, nil, "v"), increment(long, 1), increment("", 1), increment("n", 1)))
	for i, want := range []errpb.ErrorCode{tooLarge, tooLarge, tooLarge, invalid, 0} {
		if codeOf(results[i].Err) != want {
			t.Fatalf("write %d: %v", i, results[i].Err)
		}
	}
}

// What an engine holds for a session, and what a stream carries to other replicas.
func TestSessionRowsGolden(t *testing.T) {
	f, id := newest(t)
	key := keyIn(t, 258)
	c := once(id, 1, 1, increment(key, -2))
	for i, w := range []*pb.Write{exchange(key, "v"), swap(key, nil, "w")} {
		w.Session, w.Sequence = 1, uint64(i+2)
		c.GetWrite().Writes = append(c.GetWrite().Writes, w)
	}
	applyNewest(t, f, c)
	want := append([]byte{0x60, 0xea, 0, 0}, make([]byte, 16)...)
	want[12] = 1
	want = append(want, 0x00, 0x06, 0x82, 0x02, 0x00, 0x01, 0x03) // -2, version 1
	want = append(want, 0x01, 0x41, 0x82, 0x02, 0x00, 0x02, 0x00, 0x01, 0x02, '-', '2')
	want = append(want, 0x01, 0x05, 0x82, 0x02, 0x09, 0x02, 0x00) // refused, version 2
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
