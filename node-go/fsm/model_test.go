package fsm

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// model is what the state machine should be, in the plainest terms.
type model struct {
	keys   map[string]modelKey
	floors map[uint16]uint64
	owned  map[uint16]bool
	epoch  uint64
	// last version that a key ever had.
	last map[string]uint64
	// repeated says which key has got a version twice.
	repeated string
	time     uint64
	sessions map[SessionID]*modelSession
}

type modelSession struct {
	expiry, used, floor uint64
	answers             map[uint64]Result
}

type modelKey struct {
	value   string
	version uint64
}

func newModel() *model {
	return &model{keys: map[string]modelKey{}, floors: map[uint16]uint64{}, owned: map[uint16]bool{}, last: map[string]uint64{}, sessions: map[SessionID]*modelSession{}}
}

// once is write, unless the session says that it was done.
func (m *model) once(batch *pb.WriteBatch, w *pb.Write, index uint64) Result {
	if o := w.GetOpen(); o != nil {
		id := sessionID(o.Nonce, index)
		if m.sessions[id] == nil {
			m.sessions[id] = &modelSession{uint64(o.ExpiryMs), m.time, 1, map[uint64]Result{}}
		}
		return Result{Kind: KindOpen, Session: id}
	}
	if w.Session == 0 {
		return m.write(w)
	}
	said := batch.Sessions[w.Session-1]
	s := m.sessions[SessionID(said.Id)]
	if s == nil {
		return Result{Err: kverr.Unknown(expired, "")}
	}
	if m.time-s.used > s.expiry/touchFraction {
		s.used = m.time
	}
	s.floor = max(s.floor, said.Floor)
	if w.Sequence < s.floor {
		return Result{Err: kverr.Unknown(expired, "")}
	}
	if _, done := s.answers[w.Sequence]; !done {
		s.answers[w.Sequence] = m.write(w)
	}
	if first := s.answers[w.Sequence]; first.Kind != kindOf(w) {
		return Result{Err: kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "")}
	}
	return s.answers[w.Sequence]
}

func (m *model) expire() {
	for id, s := range m.sessions {
		if s.used+s.expiry <= m.time { // never above a minute here: a session without writes lives as long
			delete(m.sessions, id)
		}
	}
}

func (m *model) write(w *pb.Write) Result {
	if t := w.GetTransaction(); t != nil {
		return m.transact(t)
	}
	key, ifVersion, result := string(keyOf(w)), w.GetPut().GetIfVersion(), Result{Kind: kindOf(w)}
	conditional := w.GetPut() != nil && w.GetPut().IfVersion != nil
	if d := w.GetDelete(); d != nil {
		ifVersion, conditional = d.GetIfVersion(), d.IfVersion != nil
	}
	number := command.Partition([]byte(key))
	before, exists := m.keys[key]
	cas, refused := w.GetCompareAndSet(), func(code errpb.ErrorCode) {
		result.Err = kverr.NotApplied(code, "")
		result.Err.Version = before.version
	}
	sum, fault := m.sum(w, before)
	switch {
	case !m.owned[number]:
		result.Err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_WRONG_SHARD, "")
	case conditional && ifVersion != before.version,
		cas != nil && (exists != (cas.Expected != nil) || string(cas.Expected) != before.value):
		refused(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	case fault != 0:
		refused(fault)
	case result.Kind == KindAppend && len(before.value)+len(w.GetAppend().Value) > int(w.GetAppend().Limit):
		result.Err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE, "")
	case result.Kind != KindDelete:
		result.Version = before.version + 1
		if !exists {
			result.Version = m.floors[number] + 1
		}
		value := string(w.GetPut().GetValue()) + string(cas.GetValue())
		if a := w.GetAppend(); a != nil {
			value = before.value + string(a.Value)
			result.Length = uint64(len(value))
		} else if w.GetIncrement() != nil {
			value, result.Value = sum.String(), sum.Int64()
		}
		if exists && returnsPrevious(w) {
			result.Previous = &Previous{before.version, []byte(before.value)}
		}
		m.keys[key] = modelKey{value, result.Version}
		if result.Version <= m.last[key] {
			m.repeated = fmt.Sprintf("%v: version %d, but the key has had %d before", w, result.Version, m.last[key])
		}
		m.last[key] = result.Version
	case exists:
		result.Existed = true
		if returnsPrevious(w) {
			result.Previous = &Previous{before.version, []byte(before.value)}
		}
		delete(m.keys, key)
		m.floors[number] = max(m.floors[number], before.version)
	}
	return result
}

var canonical = regexp.MustCompile("^(0|-?[1-9][0-9]*)$")

// sum is what an increment makes, without the arithmetic of int64.
func (m *model) sum(w *pb.Write, before modelKey) (*big.Int, errpb.ErrorCode) {
	sum := big.NewInt(0)
	if w.GetIncrement() == nil {
		return sum, 0
	}
	if before.version > 0 {
		if !canonical.MatchString(before.value) {
			return nil, errpb.ErrorCode_ERROR_CODE_NOT_A_NUMBER
		}
		sum.SetString(before.value, 10)
	}
	if sum.Add(sum, big.NewInt(w.GetIncrement().By)); !sum.IsInt64() {
		return nil, errpb.ErrorCode_ERROR_CODE_OVERFLOW
	}
	return sum, 0
}

func (m *model) assign(a *pb.AssignPartitions) (code errpb.ErrorCode) {
	wanted := map[uint16]bool{}
	for _, r := range a.Owned {
		for number := r.First; number <= r.Last; number++ {
			wanted[uint16(number)] = true
		}
	}
	switch {
	case a.Epoch == 0:
		return errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT
	case a.Epoch == m.epoch && fmt.Sprint(wanted) == fmt.Sprint(m.owned):
		return 0
	case m.epoch > 0:
		return errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED
	}
	m.epoch, m.owned = a.Epoch, wanted
	return 0
}

func codeOf(e *kverr.Error) errpb.ErrorCode {
	if e == nil {
		return 0
	}
	return e.Code
}

// Few keys, some of them in one partition, so that histories collide.
var modelKeys = []string{"{a}1", "{a}2", "{a}3", "b", "c", "d"}

// Values that are expected now and then, numbers and near misses among them.
var modelValues = []string{"", "x", "0", "7", "-3", "007", "+1", "9223372036854775807", "-9223372036854775808"}

func drawWrite(t *rapid.T) *pb.Write {
	if rapid.IntRange(0, 3).Draw(t, "transaction") == 0 {
		return drawTransaction(t)
	}
	key := rapid.SampledFrom(modelKeys).Draw(t, "key")
	return drawWriteOf(t, key, rapid.Bool().Draw(t, "previous"), []int{0, 1, 2, 3, 4, 5, 6, 7, 8})
}

func drawWriteOf(t *rapid.T, key string, previous bool, kinds []int) *pb.Write {
	var ifVersion []uint64
	if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
		ifVersion = []uint64{rapid.Uint64Range(0, 6).Draw(t, "if version")}
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case 0:
		w := remove(key, ifVersion...)
		w.GetDelete().ReturnPrevious = previous
		return w
	case 3, 4:
		return increment(key, rapid.SampledFrom([]int64{1, -1, 5, math.MaxInt64, math.MinInt64}).Draw(t, "by"))
	case 5:
		return swap(key, nil, rapid.SampledFrom(modelValues).Draw(t, "value"))
	case 6:
		return swap(key, []byte(rapid.SampledFrom(modelValues).Draw(t, "expected")), rapid.SampledFrom(modelValues).Draw(t, "value"))
	case 1, 2:
		w := add(key, rapid.StringN(0, 4, 16).Draw(t, "added"))
		w.GetAppend().Limit = 12
		return w
	}
	w := put(key, rapid.SampledFrom(modelValues).Draw(t, "value"), ifVersion...)
	w.GetPut().ReturnPrevious = previous
	return w
}

func drawAssign(t *rapid.T) *pb.Command {
	cut := rapid.Uint32Range(0, command.Partitions-2).Draw(t, "cut")
	epoch := rapid.Uint64Range(0, 12).Draw(t, "epoch")
	if rapid.Bool().Draw(t, "all") {
		return assign(epoch, span(cut+1, command.Partitions-1), span(0, cut))
	}
	return assign(epoch, span(cut, command.Partitions-1))
}

// drawSessions makes some of the writes those of sessions: opened before, expired, or of nobody. Numbers are few, so that
// writes are repeated.
func drawSessions(t *rapid.T, batch *pb.WriteBatch, ids []SessionID) {
	for _, w := range batch.Writes {
		if rapid.IntRange(0, 2).Draw(t, "plain") == 0 {
			continue
		}
		id := rapid.SampledFrom(ids).Draw(t, "session")
		batch.Sessions = append(batch.Sessions, &pb.Session{Id: id[:], Floor: rapid.Uint64Range(0, 4).Draw(t, "floor")})
		w.Session = uint32(len(batch.Sessions))
		w.Sequence = rapid.Uint64Range(1, 6).Draw(t, "sequence")
	}
}

// drawHistory starts with owning everything. Indexes have gaps, as no-ops and configurations leave them.
func drawHistory(t *rapid.T) []*raft.Log {
	index, time := uint64(1), uint64(0)
	ids := []SessionID{{}}
	history := []*raft.Log{entry(t, index, everything(1)), entry(t, index+1, raise(command.Format))}
	index++
	for range rapid.IntRange(1, 25).Draw(t, "entries") {
		c := writes(rapid.SliceOfN(rapid.Custom(drawWrite), 0, 6).Draw(t, "writes")...)
		drawSessions(t, c.GetWrite(), ids)
		if rapid.IntRange(0, 7).Draw(t, "assign") == 0 {
			c = drawAssign(t)
		}
		time += rapid.Uint64Range(0, 500).Draw(t, "later")
		c.StampMs = time - min(time, rapid.Uint64Range(0, 200).Draw(t, "behind"))
		index += rapid.Uint64Range(1, 3).Draw(t, "gap")
		if rapid.IntRange(0, 2).Draw(t, "open") == 0 && c.GetWrite() != nil {
			c.GetWrite().Writes = append(c.GetWrite().Writes, open(index%3, 1_000))
			ids = append(ids, sessionID(index%3, index))
		}
		history = append(history, entryIn(t, index, c, command.Format))
	}
	return history
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, m := newFSM(t, memory.New()), newModel()
		for _, e := range drawHistory(t) {
			applied := f.Apply(e).(*Applied)
			c, err := command.Decode(e.Data, command.Format)
			if err != nil {
				t.Fatal(err)
			}
			m.time = max(m.time, c.StampMs)
			m.check(t, c, applied)
			m.expire()
			m.checkSessions(t, f)
			m.checkReads(t, f)
			if f.LogTimeMs() != m.time || f.Applied() != e.Index || f.engine.Applied() != e.Index {
				t.Fatalf("after entry %d: %+v, applied %d", e.Index, f.state.head, f.Applied())
			}
		}
	})
}

func (m *model) check(t *rapid.T, c *pb.Command, applied *Applied) {
	if a := c.GetAssign(); a != nil {
		if code := m.assign(a); code != codeOf(applied.Err) {
			t.Fatalf("%v: error %v, want %v", a, applied.Err, code)
		}
		return
	}
	for i, w := range c.GetWrite().GetWrites() {
		want, got := m.once(c.GetWrite(), w, applied.Index), applied.Results[i]
		if !reflect.DeepEqual(want.Previous, got.Previous) {
			t.Fatalf("%v: previous %v, want %v", w, got.Previous, want.Previous)
		}
		if !reflect.DeepEqual(want.Transaction, got.Transaction) {
			t.Fatalf("%v: came to %+v, want %+v", w, got.Transaction, want.Transaction)
		}
		want.Previous, got.Previous, want.Transaction, got.Transaction = nil, nil, nil, nil
		if codeOf(want.Err) != codeOf(got.Err) || want.Err != nil && (want.Err.Version != got.Err.Version || want.Err.Operation != got.Err.Operation) {
			t.Fatalf("%v: error %v, want %v", w, got.Err, want.Err)
		}
		want.Err, got.Err = nil, nil
		if want != got {
			t.Fatalf("%v: %+v, want %+v", w, got, want)
		}
	}
	if m.repeated != "" {
		t.Fatal(m.repeated)
	}
}

func (m *model) checkSessions(t *rapid.T, f *FSM) {
	answers := 0
	for id, want := range m.sessions {
		got := f.state.sessions.byID[id]
		if got == nil || got.floor != want.floor || got.lastUseMs != want.used {
			t.Fatalf("session %x: %+v, want %+v", id, got, want)
		}
		for sequence := range want.answers {
			if sequence < want.floor {
				delete(want.answers, sequence)
			}
		}
		if len(got.answers) != len(want.answers) {
			t.Fatalf("session %x: %d answers, want %d", id, len(got.answers), len(want.answers))
		}
		answers += len(got.answers)
	}
	if len(f.state.sessions.byID) != len(m.sessions) || f.state.sessions.answers != answers {
		t.Fatalf("%d sessions with %d answers, want %d with %d",
			len(f.state.sessions.byID), f.state.sessions.answers, len(m.sessions), answers)
	}
}

func (m *model) checkReads(t *rapid.T, f *FSM) {
	for _, key := range modelKeys {
		record, found, err := f.Get([]byte(key))
		if !m.owned[command.Partition([]byte(key))] {
			if err == nil {
				t.Fatalf("get %q of another shard", key)
			}
			continue
		}
		want, exists := m.keys[key]
		if err != nil || found != exists || string(record.Value) != want.value || record.Version != want.version {
			t.Fatalf("get %q: %q version %d found %v error %v, want %+v", key, record.Value, record.Version, found, err, want)
		}
	}
}

// Two replicas, and one that stops anywhere and is given the log again from anywhere before, hold the same bytes.
func TestReplayGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := drawHistory(t)
		one, two := newFSM(t, memory.New()), newFSM(t, memory.New())
		for _, e := range history {
			one.Apply(e)
		}
		want := content(t, one.engine)
		stop := rapid.IntRange(0, len(history)).Draw(t, "stop")
		for _, e := range history[:stop] {
			two.Apply(e)
		}
		restarted := newFSM(t, two.engine)
		for _, e := range history[rapid.IntRange(0, stop).Draw(t, "from"):] {
			before := restarted.engine.Applied()
			applied := restarted.Apply(e).(*Applied)
			if applied.Skipped != (e.Index <= before) {
				t.Fatalf("entry %d after %d: skipped %v", e.Index, before, applied.Skipped)
			}
		}
		if got := content(t, restarted.engine); !bytes.Equal(got, want) {
			t.Fatalf("stopped after %d of %d entries: the content differs", stop, len(history))
		}
		if !sameState(restarted.state, one.state) {
			t.Fatalf("the state differs: %+v, %+v", restarted.state.head, one.state.head)
		}
	})
}
