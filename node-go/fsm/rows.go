package fsm

import (
	"encoding/binary"
	"fmt"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// The first byte of an engine key says whose it is. Space 3 is in session_rows.go, 4 in expiry.go, 5 and 6
// in lease_rows.go.
const (
	spaceSystem = 0x01
	spaceUser   = 0x02
)

// System rows, all numbers little-endian except the partition in a key, which must sort.
//
//	head        key   01 00
//	            value | format | shard | log time | index | term |   of the newest command
//	                  | 1      | 4     | 8        | 8     | 8    |
//	                  format is the one that the shard uses, for commands and for everything that the state machine
//	                  keeps in an engine: a node that does not know it refuses the data
//
//	ownership   key   01 01
//	            value | epoch |   in which the shard last changed ownership
//	                  | 8     |
//
//	partition   key   01 02 | partition, 2 big-endian
//	            value | state | epoch | floor |   absent: none, 0, 0
//	                  | 1     | 8     | 8     |
//	            frozen: | until |   the log time at which it ends
//	                    | 8     |
const (
	rowHead      = 0x00
	rowOwnership = 0x01
	rowPartition = 0x02

	headBytes      = 29
	ownershipBytes = 8
	partitionBytes = 17
	frozenBytes    = 25
)

var (
	headKey      = []byte{spaceSystem, rowHead}
	ownershipKey = []byte{spaceSystem, rowOwnership}
)

func userKey(key []byte) []byte {
	return append(append(make([]byte, 0, 1+len(key)), spaceUser), key...)
}

func partitionKey(number int) []byte {
	return binary.BigEndian.AppendUint16([]byte{spaceSystem, rowPartition}, uint16(number))
}

func (h head) encode() []byte {
	to := append(make([]byte, 0, headBytes), h.format)
	to = binary.LittleEndian.AppendUint32(to, h.shard)
	to = binary.LittleEndian.AppendUint64(to, h.logTimeMs)
	to = binary.LittleEndian.AppendUint64(to, h.index)
	return binary.LittleEndian.AppendUint64(to, h.term)
}

func (p partition) encode() []byte {
	to := append(make([]byte, 0, frozenBytes), byte(p.State))
	to = binary.LittleEndian.AppendUint64(to, p.Epoch)
	to = binary.LittleEndian.AppendUint64(to, p.floor)
	if p.State == Frozen {
		to = binary.LittleEndian.AppendUint64(to, p.until)
	}
	return to
}

func encodeOwnership(epoch uint64) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 0, ownershipBytes), epoch)
}

// load reads the system rows of an engine. It refuses what it does not know in full, as command.Decode does, and the
// data of another shard.
func load(e engine.Engine, shard, formatMax uint32) (*state, error) {
	view, err := e.View()
	if err != nil {
		return nil, fmt.Errorf("load the state machine: %w", err)
	}
	defer view.Close()
	s := &state{applied: view.Applied(), head: head{format: 1}}
	var bad error
	err = view.Ascend([]byte{spaceSystem}, []byte{spaceUser}, func(r engine.Record) bool {
		bad = s.load(r.Key, r.Value, formatMax)
		return bad == nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the state machine: %w", err)
	}
	if bad != nil {
		return nil, bad
	}
	if s.sessions, err = loadSessions(view); err != nil {
		return nil, fmt.Errorf("load the sessions: %w", err)
	}
	if s.expiries, err = loadExpiries(view); err != nil {
		return nil, fmt.Errorf("load the expiry rows: %w", err)
	}
	if s.leases, err = loadLeases(view); err == nil {
		err = s.checkAttachments()
	}
	if err != nil {
		return nil, fmt.Errorf("load the leases: %w", err)
	}
	s.thawMs = s.nextThaw()
	switch {
	case s.applied == 0:
		s.head.shard = shard
	case s.head.index == 0:
		return nil, badRow("the engine has applied entry %d, but holds no head row", s.applied)
	case s.head.shard != shard:
		return nil, badRow("the data is of shard %d, this node is of shard %d", s.head.shard, shard)
	}
	return s, nil
}

func (s *state) load(key, value []byte, formatMax uint32) error {
	switch {
	case len(key) == 2 && key[1] == rowHead && len(value) >= 1 && (value[0] < 1 || uint32(value[0]) > formatMax):
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED,
			"the data has format %d, this node knows %d: upgrade it", value[0], formatMax)
	case len(key) == 2 && key[1] == rowHead && len(value) == headBytes:
		s.head = head{
			format:    value[0],
			shard:     binary.LittleEndian.Uint32(value[1:]),
			logTimeMs: binary.LittleEndian.Uint64(value[5:]),
			index:     binary.LittleEndian.Uint64(value[13:]),
			term:      binary.LittleEndian.Uint64(value[21:]),
		}
		return nil
	case len(key) == 2 && key[1] == rowOwnership && len(value) == ownershipBytes:
		s.epoch = binary.LittleEndian.Uint64(value)
		return nil
	case len(key) == 4 && key[1] == rowPartition && (len(value) == partitionBytes || len(value) == frozenBytes):
		return s.loadPartition(binary.BigEndian.Uint16(key[2:]), value)
	default:
		return badRow("unknown system row %x with %d bytes", key, len(value))
	}
}

func (s *state) loadPartition(number uint16, value []byte) error {
	state := Ownership(value[0])
	if number >= command.Partitions || state >= ownerships || (state == Frozen) != (len(value) == frozenBytes) {
		return badRow("partition row %d with state %d and %d bytes", number, value[0], len(value))
	}
	p := &s.partitions[number]
	p.Holding = Holding{State: state, Epoch: binary.LittleEndian.Uint64(value[1:])}
	p.floor = binary.LittleEndian.Uint64(value[9:])
	if state == Frozen {
		p.until = binary.LittleEndian.Uint64(value[partitionBytes:])
	}
	return nil
}

// badRow is about bytes whose checksum was right: they were written so, by another program or by a fault of this one.
func badRow(format string, args ...any) error {
	return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_CORRUPT, format, args...)
}
