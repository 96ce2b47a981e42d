package fsm

import (
	"bytes"
	"encoding/binary"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Session rows. Each answer is tagged with its partition, so that it can travel with it.
//
//	session   key   03 | nonce, 8 big-endian | index, 8 big-endian
//	          value | expiry | last use | floor | answer ...
//	                | 4      | 8        | 8     |
//	answer    uvarints: sequence - that of the answer before (the first: - floor), kind, partition, error code,
//	          version (of a delete, touch or revocation: whether something existed; of a refusal for its owner: the epoch), length (of
//	          an increment: the sum, zigzag; of a refused transaction: the operation; of a keep-alive: the lease's time to live; of a
//	          revocation: 1 if keys are left). A kind with the bit 40 is followed by
//	          what the write has replaced, and belongs to format 3 of commands: uvarints: version, length of the value; the
//	          value. So does the kind of a transaction, whose version is 1 if it succeeded, and whose length is the number of
//	          results that follow: uvarints: kind, version, length, as above, and with the bit 40 the previous value
const (
	withPrevious = 0x40

	spaceSession     = 0x03
	sessionKeyBytes  = 17
	sessionHeadBytes = 20
)

func sessionID(nonce, index uint64) SessionID {
	var id SessionID
	binary.BigEndian.PutUint64(id[:], nonce)
	binary.BigEndian.PutUint64(id[8:], index)
	return id
}

func sessionKey(id SessionID) []byte {
	return append(append(make([]byte, 0, sessionKeyBytes), spaceSession), id[:]...)
}

func (s *session) encode() []byte {
	to := make([]byte, 0, sessionHeadBytes+8*len(s.answers)+s.kept)
	to = binary.LittleEndian.AppendUint32(to, s.expiryMs)
	to = binary.LittleEndian.AppendUint64(to, s.lastUseMs)
	to = binary.LittleEndian.AppendUint64(to, s.floor)
	before := s.floor
	for i := range s.answers {
		a := &s.answers[i]
		to = binary.AppendUvarint(to, a.sequence-before)
		before = a.sequence
		to = a.encode(to)
	}
	return to
}

func (a *answered) encode(to []byte) []byte {
	code := uint64(0)
	kind, version, length := a.result.numbers()
	if err := a.result.Err; err != nil {
		code, version, length = uint64(err.Code), err.Version|err.Epoch, uint64(err.Operation)
	}
	for _, number := range [...]uint64{kind, uint64(a.partition), code, version, length} {
		to = binary.AppendUvarint(to, number)
	}
	to = a.result.Previous.encode(to)
	return a.result.Transaction.encode(to)
}

// numbers are what a row says of a result that is no refusal.
func (r *Result) numbers() (kind, version, length uint64) {
	kind, version, length = uint64(r.Kind), r.Version, r.Length
	if r.Previous != nil {
		kind |= withPrevious
	}
	switch t := r.Transaction; {
	case r.Existed, t != nil && t.Succeeded:
		version = 1
	case r.Kind == KindIncrement:
		length = zigzag(r.Value)
	case r.Left != nil:
		// 0 is due.
		length = *r.Left + 1
	case r.Kind == KindKeepAlive:
		length = r.TTLMs
	}
	if r.More {
		length = 1
	}
	if t := r.Transaction; t != nil {
		length = uint64(len(t.Results))
	}
	return kind, version, length
}

func (p *Previous) encode(to []byte) []byte {
	if p == nil {
		return to
	}
	to = binary.AppendUvarint(to, p.Version)
	to = binary.AppendUvarint(to, uint64(len(p.Value)))
	return append(to, p.Value...)
}

func zigzag(number int64) uint64 { return uint64(number<<1) ^ uint64(number>>63) }

func unzigzag(number uint64) int64 { return int64(number>>1) ^ -int64(number&1) }

// loadSessions reads the session rows of a view.
func loadSessions(view engine.View) (*sessions, error) {
	t := newSessions()
	var bad error
	err := view.Ascend([]byte{spaceSession}, []byte{spaceSession + 1}, func(r engine.Record) bool {
		s, ok := decodeSession(r.Key, r.Value)
		if !ok {
			bad = badRow("unknown session row %x with %d bytes", r.Key, len(r.Value))
			return false
		}
		t.add(s)
		return true
	})
	if err == nil {
		err = bad
	}
	return t, err
}

func decodeSession(key, value []byte) (*session, bool) {
	if len(key) != sessionKeyBytes || len(value) < sessionHeadBytes {
		return nil, false
	}
	s := &session{
		id:        SessionID(key[1:]),
		expiryMs:  binary.LittleEndian.Uint32(value),
		lastUseMs: binary.LittleEndian.Uint64(value[4:]),
		floor:     binary.LittleEndian.Uint64(value[12:]),
	}
	before := s.floor
	for from := value[sessionHeadBytes:]; len(from) > 0; {
		var numbers [6]uint64
		if from = uvarints(from, numbers[:]); from == nil {
			return nil, false
		}
		previous := (*Previous)(nil)
		if numbers[1]&withPrevious != 0 {
			numbers[1] &^= withPrevious
			if previous, from = decodePrevious(from); previous == nil {
				return nil, false
			}
		}
		before += numbers[0]
		a, ok := decodeAnswer(before, numbers)
		if !ok {
			return nil, false
		}
		a.result.Previous = previous
		if a.result.Kind == KindTransaction && a.result.Err == nil {
			if a.result.Transaction, from = decodeTransaction(from, numbers[4], numbers[5]); a.result.Transaction == nil {
				return nil, false
			}
		}
		s.kept += a.result.kept()
		s.answers = append(s.answers, a)
	}
	return s, true
}

// uvarints fills numbers, and returns what follows them, or nil.
func uvarints(from []byte, numbers []uint64) []byte {
	for i := range numbers {
		number, n := binary.Uvarint(from)
		if n <= 0 {
			return nil
		}
		numbers[i], from = number, from[n:]
	}
	return from
}

// decodePrevious returns what was replaced, and what follows it; nil if that is none. The value does not refer to the row, which
// is written anew with every entry of the session.
func decodePrevious(from []byte) (*Previous, []byte) {
	var numbers [2]uint64
	from = uvarints(from, numbers[:])
	if from == nil || numbers[0] == 0 || numbers[1] > PreviousBytesMax || numbers[1] > uint64(len(from)) {
		return nil, nil
	}
	return &Previous{Version: numbers[0], Value: bytes.Clone(from[:numbers[1]])}, from[numbers[1]:]
}

// isKept says of a number whether it is a kind of write whose answers sessions keep.
func (k Kind) isKept() bool {
	return k >= KindPut && k <= KindRevokeLease && k != KindOpen && k != KindGet
}

func decodeAnswer(sequence uint64, numbers [6]uint64) (answered, bool) {
	kind, partition, code, version, length := Kind(numbers[1]), numbers[2], errpb.ErrorCode(numbers[3]), numbers[4], numbers[5]
	if !kind.isKept() || partition >= command.Partitions {
		return answered{}, false
	}
	a := answered{sequence: sequence, partition: uint16(partition), result: Result{Kind: kind}}
	switch {
	case code == errpb.ErrorCode_ERROR_CODE_WRONG_SHARD:
		a.result.Err = kverr.NotApplied(code, "the shard did not own the key's partition: refresh the cluster map")
		a.result.Err.Epoch = version
	case code != 0:
		a.result.Err = kverr.NotApplied(code, "the write was refused before")
		a.result.Err.Version, a.result.Err.Operation = version, uint32(length)
	case kind == KindTransaction:
		// What it came to follows.
	case kind == KindDelete || kind == KindTouch:
		a.result.Existed = version == 1
	case kind == KindRevokeLease:
		a.result.Existed, a.result.More = version == 1, length == 1
	case kind == KindKeepAlive:
		a.result.TTLMs = length
	case kind == KindIncrement:
		a.result.Version, a.result.Value = version, unzigzag(length)
	default:
		a.result.Version, a.result.Length = version, length
	}
	return a, true
}
