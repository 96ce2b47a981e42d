package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

const expired = errpb.ErrorCode_ERROR_CODE_SESSION_EXPIRED

func open(nonce uint64, expiryMs uint32) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Open{Open: &pb.OpenSession{Nonce: nonce, ExpiryMs: expiryMs}}}
}

func add(key, value string) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Append{Append: &pb.Append{Key: []byte(key), Value: []byte(value), Limit: 64}}}
}

// once is a batch of one write of a session.
func once(id SessionID, floor, sequence uint64, w *pb.Write) *pb.Command {
	w.Session, w.Sequence = 1, sequence
	c := writes(w)
	c.GetWrite().Sessions = []*pb.Session{{Id: id[:], Floor: floor}}
	return c
}

func at(stampMs uint64, c *pb.Command) *pb.Command {
	c.StampMs = stampMs
	return c
}

// opened is a state machine that owns everything, and has a session since entry 2.
func opened(t *testing.T, expiryMs uint32) (*FSM, SessionID) {
	t.Helper()
	f := owner(t)
	result := apply(t, f, 2, writes(open(7, expiryMs))).Results[0]
	if result.Err != nil || result.Kind != KindOpen || result.Session != sessionID(7, 2) {
		t.Fatalf("open: %+v", result)
	}
	return f, result.Session
}

func TestARepeatedWriteIsAnsweredAndNotApplied(t *testing.T) {
	f, id := opened(t, 60_000)
	apply(t, f, 3, writes(put("c", "v")))
	index := uint64(3)
	for sequence, w := range []func() *pb.Write{
		func() *pb.Write { return add("k", "ab") },
		func() *pb.Write { return add("k", "ab") },
		func() *pb.Write { return put("p", "v") },
		func() *pb.Write { return remove("p") },
		func() *pb.Write { return remove("p") },
		func() *pb.Write { return put("c", "w", 99) },
		func() *pb.Write { return add("k", string(make([]byte, 61))) },
	} {
		index++
		first := apply(t, f, index, once(id, 1, uint64(sequence+1), w())).Results[0]
		before := f.state.partitions
		// From this replica's memory, and as another one reads it from the engine.
		for _, replica := range []*FSM{f, newFSM(t, f.engine)} {
			index++
			again := apply(t, replica, index, once(id, 1, uint64(sequence+1), w())).Results[0]
			if again.Kind != first.Kind || again.Version != first.Version || again.Length != first.Length || again.Existed != first.Existed {
				t.Fatalf("write %d: first %+v, then %+v", sequence, first, again)
			}
			if codeOf(again.Err) != codeOf(first.Err) || first.Err != nil && again.Err.Version != first.Err.Version {
				t.Fatalf("write %d: first %v, then %v", sequence, first.Err, again.Err)
			}
			f = replica
		}
		if f.state.partitions != before {
			t.Fatalf("write %d changed a floor when it was repeated", sequence)
		}
	}
	requireValue(t, f, "k", "abab", 2)
	requireAbsent(t, f, "p")
	requireValue(t, f, "c", "v", 1)
}

func TestTheSameWriteTwiceInOneEntryIsOne(t *testing.T) {
	f, id := opened(t, 60_000)
	c := once(id, 1, 1, add("k", "a"))
	second := add("k", "a")
	second.Session, second.Sequence = 1, 1
	c.GetWrite().Writes = append(c.GetWrite().Writes, second)
	results := apply(t, f, 3, c).Results
	if results[0] != results[1] || results[0].Length != 1 {
		t.Fatalf("%+v", results)
	}
	requireValue(t, f, "k", "a", 1)
}

func TestAppendsOfOneEntrySeeEachOther(t *testing.T) {
	f := owner(t)
	results := apply(t, f, 2, writes(add("k", "a"), add("k", "b"), remove("k"), add("k", "c"), put("k", "d"), add("k", "e"))).Results
	for i, want := range []uint64{1, 2, 0, 1, 0, 2} {
		if results[i].Length != want {
			t.Fatalf("write %d: %+v, want length %d", i, results[i], want)
		}
	}
	requireValue(t, f, "k", "de", 5)
}

// Told that another shard owns the key, a client goes there. A late copy must not be applied here then, even if the
// partition has come back.
func TestARefusalForItsOwnerIsFinalToo(t *testing.T) {
	f, id := opened(t, 60_000)
	release(t, f, 2, all())
	requireCode(t, applyNext(t, f, once(id, 1, 1, put("k", "v"))).Results[0].Err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
	regain(t, f, 3, all())
	for _, replica := range []*FSM{f, newFSM(t, f.engine)} {
		again := apply(t, replica, f.Applied()+1, once(id, 1, 1, put("k", "v"))).Results[0].Err
		if e := requireCode(t, again, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD); e.Epoch != 2 {
			t.Fatalf("epoch %d", e.Epoch)
		}
		requireAbsent(t, replica, "k")
	}
}

func TestTheFloorForgetsAndRefusesLateCopies(t *testing.T) {
	f, id := opened(t, 60_000)
	apply(t, f, 3, once(id, 1, 1, add("k", "a")))
	apply(t, f, 4, once(id, 2, 2, add("k", "b")))
	if n := len(f.state.sessions.byID[id].answers); n != 1 || f.state.sessions.answers != 1 {
		t.Fatalf("%d answers, %d in all", n, f.state.sessions.answers)
	}
	// A smaller floor in a late message does not sink it.
	late := apply(t, f, 5, once(id, 1, 1, add("k", "a"))).Results[0]
	// Of this copy; of earlier ones it says nothing.
	if e := requireCode(t, late.Err, expired); e.Outcome != errpb.Outcome_OUTCOME_NOT_APPLIED {
		t.Fatalf("outcome %v", e.Outcome)
	}
	requireValue(t, f, "k", "ab", 2)
}

func TestTheWindowIsBounded(t *testing.T) {
	f, id := opened(t, 60_000)
	if err := apply(t, f, 3, once(id, 1, SessionWindow, put("k", "v"))).Results[0].Err; err != nil {
		t.Fatal(err)
	}
	requireCode(t, apply(t, f, 4, once(id, 1, SessionWindow+1, put("k", "v"))).Results[0].Err, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}

func TestASessionExpiresInLogTimeWithoutUse(t *testing.T) {
	f, id := opened(t, 60_000)
	apply(t, f, 3, at(30_000, once(id, 1, 1, add("k", "a"))))
	// Kept by its use at 30 s; the clock of another leader may be behind.
	apply(t, f, 4, at(89_999, writes()))
	apply(t, f, 5, at(10, once(id, 1, 1, add("k", "a"))))
	apply(t, f, 6, at(149_998, writes()))
	requireValue(t, f, "k", "a", 1)
	apply(t, f, 7, at(149_999, writes()))
	if f.state.sessions.byExpiry.Len() != 0 || f.state.sessions.answers != 0 {
		t.Fatalf("%d sessions, %d answers", f.state.sessions.byExpiry.Len(), f.state.sessions.answers)
	}
	for _, replica := range []*FSM{f, newFSM(t, f.engine)} {
		requireCode(t, apply(t, replica, f.Applied()+1, once(id, 1, 2, add("k", "b"))).Results[0].Err, expired)
	}
	// A late copy of its opening is another session.
	if again := apply(t, f, 10, writes(open(7, 60_000))).Results[0]; again.Session == id {
		t.Fatal("an expired session was opened again")
	}
}

func TestSessionsOfASeedOrSnapshotAreThere(t *testing.T) {
	f, id := opened(t, 60_000)
	apply(t, f, 3, once(id, 1, 1, add("k", "a")))
	other := newFSM(t, memory.New())
	if _, err := other.engine.Restore(bytes.NewReader(content(t, f.engine))); err != nil {
		t.Fatal(err)
	}
	other = newFSM(t, other.engine)
	if again := apply(t, other, 4, once(id, 1, 1, add("k", "a"))).Results[0]; again.Length != 1 {
		t.Fatalf("%+v", again)
	}
	requireValue(t, other, "k", "a", 1)
}

func TestSessionsAndTheirAnswersAreBounded(t *testing.T) {
	f, id := opened(t, 60_000)
	all := f.state.sessions
	for n := len(all.byID); n < SessionsMax; n++ {
		all.add(&session{id: sessionID(uint64(n), 0), expiryMs: 90_000, floor: 1})
	}
	refused := requireCode(t, apply(t, f, 3, writes(open(8, 60_000))).Results[0].Err, errpb.ErrorCode_ERROR_CODE_OVERLOADED)
	if refused.RetryAfterMs == 0 {
		t.Fatal("no advice when to come again")
	}
	all.answers = ResultsMax
	requireCode(t, apply(t, f, 4, once(id, 1, 1, add("k", "a"))).Results[0].Err, errpb.ErrorCode_ERROR_CODE_OVERLOADED)
	requireAbsent(t, f, "k")
	all.answers = 0
	if again := apply(t, f, 5, once(id, 1, 1, add("k", "a"))).Results[0]; again.Err != nil {
		t.Fatal(again.Err)
	}
}

func TestOpeningChecksTheExpiry(t *testing.T) {
	f := owner(t)
	for i, ms := range []uint32{0, SessionExpiryMsMin - 1, SessionExpiryMsMax + 1} {
		refused := apply(t, f, uint64(i+2), writes(open(1, ms))).Results[0].Err
		requireCode(t, refused, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	}
}

func TestManyThatExpireAreSpreadOverEntries(t *testing.T) {
	f := owner(t)
	var list []*pb.Write
	for n := range uint64(2*expiredPerEntry + 1) {
		list = append(list, open(n, 1_000))
	}
	apply(t, f, 2, writes(list...))
	for i, want := range []int{expiredPerEntry + 1, 1, 0} {
		apply(t, f, uint64(3+i), at(5_000, writes()))
		if got := len(f.state.sessions.byID); got != want {
			t.Fatalf("after %d entries %d sessions, want %d", i+1, got, want)
		}
	}
}

func TestUnknownSessionRowsAreRefused(t *testing.T) {
	f, id := opened(t, 60_000)
	apply(t, f, 3, once(id, 1, 1, add("k", "a")))
	row := f.state.sessions.byID[id].encode()
	key := sessionKey(id)
	if _, ok := decodeSession(key, row); !ok {
		t.Fatal("the row itself is refused")
	}
	wrongKind := bytes.Clone(row)
	wrongKind[sessionHeadBytes+1] = byte(KindOpen)
	wrongPartition := append(bytes.Clone(row[:sessionHeadBytes]), 0, byte(KindPut), 0x80, 0x40, 0, 0, 0)
	for name, c := range map[string][2][]byte{
		"short key": {key[:16], row}, "short head": {key, row[:19]}, "cut answer": {key, row[:len(row)-1]},
		"unknown kind": {key, wrongKind}, fmt.Sprintf("partition %d", command.Partitions): {key, append(wrongPartition, 0)},
	} {
		if _, ok := decodeSession(c[0], c[1]); ok {
			t.Errorf("%s is taken", name)
		}
	}
}

// Late copies are of a write, whatever it was: a number that comes again with another operation is a fault of its client.
func TestANumberIsOfOneOperation(t *testing.T) {
	f, id := opened(t, 60_000)
	apply(t, f, 3, once(id, 1, 1, put("k", "v")))
	requireCode(t, apply(t, f, 4, once(id, 1, 1, remove("k"))).Results[0].Err, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	if again := apply(t, f, 5, once(id, 1, 1, put("k", "v"))).Results[0]; again.Version != 1 {
		t.Fatalf("%+v", again)
	}
}

// A client that died before its first write holds its place for a minute, and not for as long as it asked.
func TestASessionWithoutWritesLivesShortly(t *testing.T) {
	f, id := opened(t, 3_600_000)
	used := apply(t, f, 3, writes(open(8, 3_600_000))).Results[0].Session
	apply(t, f, 4, at(30_000, once(used, 1, 1, put("k", "v"))))
	apply(t, f, 5, at(59_999, writes()))
	if len(f.state.sessions.byID) != 2 {
		t.Fatalf("%d sessions", len(f.state.sessions.byID))
	}
	// Another replica knows from the rows which of them has written.
	f = newFSM(t, f.engine)
	apply(t, f, 6, at(60_000, writes()))
	if f.state.sessions.byID[id] != nil || f.state.sessions.byID[used] == nil {
		t.Fatalf("%d sessions", len(f.state.sessions.byID))
	}
}

func TestASessionGivesTheRoomOfItsAnswersBack(t *testing.T) {
	f, id := opened(t, 60_000)
	c := writes()
	c.GetWrite().Sessions = []*pb.Session{{Id: id[:], Floor: 1}}
	for sequence := uint64(1); sequence <= SessionWindow; sequence++ {
		w := remove("k")
		w.Session, w.Sequence = 1, sequence
		c.GetWrite().Writes = append(c.GetWrite().Writes, w)
	}
	apply(t, f, 3, c)
	apply(t, f, 4, once(id, SessionWindow, SessionWindow+1, remove("k")))
	if s := f.state.sessions.byID[id]; len(s.answers) != 2 || cap(s.answers) > answersKept {
		t.Fatalf("%d answers in the room of %d", len(s.answers), cap(s.answers))
	}
}

func TestNumbersAtTheTop(t *testing.T) {
	f, id := opened(t, 1_000)
	top := ^uint64(0)
	for i, c := range [][2]uint64{{0, 1}, {0, 1024}, {0, 1025}, {5, 1028}, {top - 1023, top}, {top, top}, {0, top}, {top, top - 1}, {1, 1}} {
		apply(t, f, uint64(i+3), once(id, c[0], c[1], add("k", "x")))
		if again := newFSM(t, f.engine); !sameState(f.state, again.state) {
			t.Fatalf("floor %d, number %d: another state when loaded", c[0], c[1])
		}
	}
}

// A few bytes in an entry may be a lot in the engine: each append makes its whole value anew.
func TestAppendsToLargeValuesAreBounded(t *testing.T) {
	for _, keys := range []int{1, 300} {
		f := owner(t)
		index := uint64(1)
		for i := range keys {
			index++
			apply(t, f, index, writes(put(fmt.Sprint("log", i), string(make([]byte, 900<<10)))))
		}
		var list []*pb.Write
		for i := range 300 {
			w := add(fmt.Sprint("log", i%keys), "x")
			w.GetAppend().Limit = 1 << 20
			list = append(list, w)
		}
		done := 0
		for _, result := range apply(t, f, index+1, writes(list...)).Results {
			if result.Err == nil {
				done++
				continue
			}
			requireCode(t, result.Err, errpb.ErrorCode_ERROR_CODE_OVERLOADED)
		}
		if want := min(300, appendedBytesMax/(900<<10+1)); keys > 1 && done != want || keys == 1 && done != 300 {
			t.Fatalf("%d keys: %d appends done", keys, done)
		}
	}
}

// Told to come again later, with the same number: the refusal is not the write's answer.
func TestAnAppendThatFoundNoRoomMayComeAgain(t *testing.T) {
	f, id := opened(t, 60_000)
	apply(t, f, 3, writes(put("a", string(make([]byte, 8<<20-1))), put("b", "v")))
	c := writes()
	for range 9 {
		w := add("a", "")
		w.GetAppend().Limit = ValueBytesMax
		c.GetWrite().Writes = append(c.GetWrite().Writes, w)
	}
	for i := range 8 {
		key := fmt.Sprint("large", i)
		apply(t, f, uint64(4+i), writes(put(key, string(make([]byte, 8<<20-1)))))
		w := add(key, "x")
		w.GetAppend().Limit = ValueBytesMax
		c.GetWrite().Writes = append(c.GetWrite().Writes, w)
	}
	last := add("b", "w")
	last.Session, last.Sequence = 1, 1
	c.GetWrite().Writes = append(c.GetWrite().Writes, last)
	c.GetWrite().Sessions = []*pb.Session{{Id: id[:], Floor: 1}}
	results := apply(t, f, 20, c).Results
	if results[len(results)-1].Err != nil {
		requireCode(t, results[len(results)-1].Err, errpb.ErrorCode_ERROR_CODE_OVERLOADED)
	}
	if again := apply(t, f, 21, once(id, 1, 1, add("b", "w"))).Results[0]; again.Err != nil || again.Length != 2 {
		t.Fatalf("%+v", again)
	}
	requireValue(t, f, "b", "vw", 2)
}

// What finds no room is not read either: it comes again, and again.
func TestAppendsThatFindNoRoomReadNothing(t *testing.T) {
	f := owner(t)
	var list []*pb.Write
	for i := range 40 {
		key := fmt.Sprint("large", i)
		apply(t, f, uint64(2+i), writes(put(key, string(make([]byte, 8<<20-1)))))
		w := add(key, "x")
		w.GetAppend().Limit = ValueBytesMax
		list = append(list, w)
	}
	read := 0
	counting := newFSM(t, &broken{Engine: f.engine, onGet: func() { read++ }})
	done := 0
	for _, result := range apply(t, counting, 50, writes(list...)).Results {
		if result.Err == nil {
			done++
		} else {
			requireCode(t, result.Err, errpb.ErrorCode_ERROR_CODE_OVERLOADED)
		}
	}
	if done != 8 || read != 9 {
		t.Fatalf("%d done, %d read", done, read)
	}
}
