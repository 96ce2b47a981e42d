package fsm

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/tidwall/btree"

	"kvorum/node/engine"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Limits of sessions. They belong to the command's format: every replica must refuse the same.
const (
	// SessionWindow is how far a sequence number may be above its session's floor: so many results a session keeps.
	SessionWindow = 1024
	// SessionsMax and ResultsMax bound the sessions of a shard, and the results of all of them.
	SessionsMax = 1 << 16
	ResultsMax  = 1 << 20
	// keptBytesMax bounds the previous values and the results of transactions in the answers of one session, which are one row, and keptBytesMaxAll those of all.
	// The write that a session's floor waits for is let in beyond both, up to keptBytesTop: it makes room for all others.
	keptBytesMax    = 4 << 20
	keptBytesMaxAll = 64 << 20
	keptBytesTop    = 2 * keptBytesMaxAll
	// keptRetryMs is advised where answers have no room: it takes the client a round trip to say that it has them.
	keptRetryMs = 10
	// SessionExpiryMsMin and SessionExpiryMsMax bound what a client may ask for.
	SessionExpiryMsMin = 1_000
	SessionExpiryMsMax = 24 * 60 * 60 * 1_000

	// unusedExpiryMs is how long a session lives that has written nothing yet: its client may be gone already.
	unusedExpiryMs = 60_000
	// answersKept is how many answers a session has room for at least, once it had more.
	answersKept = 64
	// expiredPerEntry bounds what one entry has to do for those that nobody uses any more.
	expiredPerEntry = 64
	// touchFraction of its expiry is how stale a session's last use may be: most writes need not note it.
	touchFraction = 64
)

// SessionID names a session for ever: the nonce of the client and the index of the entry that opened it.
type SessionID [16]byte

// session is what is known of a client's writes, so that a repeated one is answered and not applied again.
type session struct {
	id       SessionID
	expiryMs uint32
	// lastUseMs is in log time, and behind by up to a touchFraction of the expiry.
	lastUseMs uint64
	// floor: every smaller sequence number is answered, by the client's word.
	floor uint64
	// answers are those from the floor on, by ascending sequence.
	answers []answered
	// kept counts the bytes that the answers need beside their numbers.
	kept int
	// dirty says that it is to be written with this entry.
	dirty bool
}

// answered is the result of one write. It is final: whatever became of the write, a copy of it gets the same.
type answered struct {
	sequence  uint64
	partition uint16
	result    Result
}

// expires is the log time from which the session is nobody's.
func (s *session) expires() uint64 {
	if s.unused() {
		return s.lastUseMs + min(unusedExpiryMs, uint64(s.expiryMs))
	}
	return s.lastUseMs + uint64(s.expiryMs)
}

// unused says that no write has been answered in it.
func (s *session) unused() bool { return s.floor <= 1 && len(s.answers) == 0 }

// sessions are those of a shard. They belong to the goroutine that calls Apply and Restore.
type sessions struct {
	byID map[SessionID]*session
	// byExpiry has those that expire first in front; all replicas expire the same ones with the same entry.
	byExpiry *btree.BTreeG[*session]
	// answers counts those of all sessions; kept the bytes that they need beside their numbers.
	answers int
	kept    int
	// dirty are to be written with this entry, in the order in which they were first changed.
	dirty []*session
}

func newSessions() *sessions {
	return &sessions{
		byID: make(map[SessionID]*session),
		byExpiry: btree.NewBTreeGOptions(func(a, b *session) bool {
			if a.expires() != b.expires() {
				return a.expires() < b.expires()
			}
			return bytes.Compare(a.id[:], b.id[:]) < 0
		}, btree.Options{NoLocks: true}),
	}
}

// open makes the session of an entry. The same nonce twice in one entry is one client that sent it twice.
func (t *sessions) open(o *pb.OpenSession, index, nowMs uint64) (SessionID, *kverr.Error) {
	if ms := o.GetExpiryMs(); ms < SessionExpiryMsMin || ms > SessionExpiryMsMax {
		return SessionID{}, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
			"a session's expiry is %d to %d ms, not %d", SessionExpiryMsMin, SessionExpiryMsMax, ms)
	}
	id := sessionID(o.GetNonce(), index)
	if t.byID[id] != nil {
		return id, nil
	}
	if len(t.byID) >= SessionsMax {
		return SessionID{}, full("the shard has %d sessions", SessionsMax)
	}
	s := &session{id: id, expiryMs: o.GetExpiryMs(), lastUseMs: nowMs, floor: 1}
	t.add(s)
	t.touch(s)
	return id, nil
}

// admit finds the session of a write, raises its floor and notes its use. It refuses what could have been applied
// before without anybody knowing it now.
func (t *sessions) admit(said *pb.Session, sequence, nowMs uint64) (*session, *kverr.Error) {
	s := t.byID[SessionID(said.GetId())]
	if s == nil {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_SESSION_EXPIRED,
			"the session is not known here: it has expired, or was opened with another cluster")
	}
	if nowMs-s.lastUseMs > uint64(s.expiryMs)/touchFraction {
		t.refile(s, func() { s.lastUseMs = nowMs })
		t.touch(s)
	}
	t.raise(s, said.GetFloor())
	switch {
	case sequence < s.floor:
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_SESSION_EXPIRED,
			"sequence number %d is below the session's floor %d: a late copy", sequence, s.floor)
	case sequence-s.floor >= SessionWindow:
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
			"sequence number %d is %d or more above the session's floor %d", sequence, SessionWindow, s.floor)
	}
	return s, nil
}

// raise forgets the answers that the client has. A floor never sinks.
func (t *sessions) raise(s *session, floor uint64) {
	if floor <= s.floor {
		return
	}
	gone, _ := s.find(floor)
	t.release(s, s.answers[:gone])
	forget := func() {
		s.floor = floor
		s.answers = slices.Delete(s.answers, 0, gone)
	}
	if s.unused() {
		t.refile(s, forget)
	} else {
		forget()
	}
	if room := cap(s.answers); room > answersKept && len(s.answers) < room/4 {
		s.answers = append(make([]answered, 0, max(answersKept, 2*len(s.answers))), s.answers...)
	}
	t.answers -= gone
	t.touch(s)
}

// refile changes something that the session's expiry depends on.
func (t *sessions) refile(s *session, change func()) {
	t.byExpiry.Delete(s)
	change()
	t.byExpiry.Set(s)
}

// first is the answer that a write got before.
func (s *session) first(sequence uint64) (Result, bool) {
	at, found := s.find(sequence)
	if !found {
		return Result{}, false
	}
	return s.answers[at].result, true
}

func (s *session) find(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(s.answers, sequence, func(a answered, sequence uint64) int {
		return cmp.Compare(a.sequence, sequence)
	})
}

// keep notes the answer of a write that has none yet.
func (t *sessions) keep(s *session, a answered) {
	at, _ := s.find(a.sequence)
	insert := func() { s.answers = slices.Insert(s.answers, at, a) }
	if s.unused() {
		t.refile(s, insert)
	} else {
		insert()
	}
	t.answers++
	s.kept += a.result.kept()
	t.kept += a.result.kept()
	t.touch(s)
}

// release is for answers that are forgotten.
func (t *sessions) release(s *session, gone []answered) {
	for i := range gone {
		bytes := gone[i].result.kept()
		s.kept -= bytes
		t.kept -= bytes
	}
}

// hasRoom says whether another answer can be kept. A write that could not be answered twice must not be applied.
func (t *sessions) hasRoom(s *session, write *pb.Write) *kverr.Error {
	if t.answers >= ResultsMax {
		return full("the sessions of the shard hold %d results", ResultsMax)
	}
	needed := keptAtMost(write)
	if needed == 0 {
		return nil
	}
	fits := s.kept+needed <= keptBytesMax && t.kept+needed <= keptBytesMaxAll
	if fits || write.GetSequence() == s.floor && t.kept+needed <= keptBytesTop {
		return nil
	}
	refused := full("the session holds %d bytes of answers, those of the shard %d", s.kept, t.kept)
	refused.RetryAfterMs = keptRetryMs
	return refused
}

// expire takes out those that nobody has used for as long as they asked to live.
func (t *sessions) expire(nowMs uint64, batch *engine.Batch) {
	for range expiredPerEntry {
		s, any := t.byExpiry.Min()
		if !any || s.expires() > nowMs {
			return
		}
		t.byExpiry.Delete(s)
		delete(t.byID, s.id)
		t.answers -= len(s.answers)
		t.kept -= s.kept
		batch.Delete(sessionKey(s.id))
	}
}

func (t *sessions) add(s *session) {
	t.byID[s.id] = s
	t.byExpiry.Set(s)
	t.answers += len(s.answers)
	t.kept += s.kept
}

func (t *sessions) touch(s *session) {
	if !s.dirty {
		s.dirty = true
		t.dirty = append(t.dirty, s)
	}
}

// flush writes what this entry has changed.
func (t *sessions) flush(batch *engine.Batch) {
	for i, s := range t.dirty {
		batch.Put(engine.Record{Key: sessionKey(s.id), Value: s.encode()})
		s.dirty = false
		t.dirty[i] = nil
	}
	t.dirty = t.dirty[:0]
}

// full is not kept as an answer: it is about the moment. It is safe to repeat, with the same number.
func full(format string, args ...any) *kverr.Error {
	refused := kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_OVERLOADED, format, args...)
	refused.RetryAfterMs = 100
	return refused
}

// ofTheMoment says of a refusal that it is not kept: the same write, with the same number, may be applied a moment later.
func ofTheMoment(err *kverr.Error) bool {
	return err != nil &&
		(err.Code == errpb.ErrorCode_ERROR_CODE_OVERLOADED || err.Code == errpb.ErrorCode_ERROR_CODE_MOVING)
}
