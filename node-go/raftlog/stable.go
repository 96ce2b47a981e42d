package raftlog

import "github.com/hashicorp/raft"

// Keys of hashicorp/raft.
const (
	currentTerm  = "CurrentTerm"
	lastVoteTerm = "LastVoteTerm"
	lastVoteCand = "LastVoteCand"
)

// growing are the keys whose values never go back.
var growing = map[string]bool{currentTerm: true, lastVoteTerm: true}

// Set stores a value of Raft's (its vote), durably.
func (l *Log) Set(key, value []byte) error {
	return l.set("set "+string(key), func() error { return l.wal.Set(key, value) })
}

// Get reads what Set has stored, nil if nothing.
func (l *Log) Get(key []byte) ([]byte, error) { return l.wal.Get(key) }

// SetUint64 stores a number of Raft's, durably. A term that goes back is refused, whatever bug asks for it: Raft then
// panics instead of voting twice.
func (l *Log) SetUint64(key []byte, value uint64) error {
	return l.set("set "+string(key), func() error {
		if growing[string(key)] {
			have, err := l.wal.GetUint64(key)
			if err != nil {
				return err
			}
			if value < have {
				return &TermError{Key: string(key), Have: have, Want: value}
			}
		}
		return l.wal.SetUint64(key, value)
	})
}

// GetUint64 reads what SetUint64 has stored, 0 if nothing.
func (l *Log) GetUint64(key []byte) (uint64, error) { return l.wal.GetUint64(key) }

func (l *Log) set(op string, write func() error) error {
	l.setting.Lock()
	defer l.setting.Unlock()
	if err := l.failure(); err != nil {
		return err
	}
	done := l.dog.Watch("raft log: "+op, 0)
	err := write()
	done()
	if err != nil {
		return l.fail(classify(l.dir, op, err))
	}
	return nil
}

// undoBootstrap takes back a bootstrap that a crash has ended between its two writes, term 1 and entry 1. Raft would refuse
// to bootstrap again, because there is a term, and could not go on without members. No node leads or votes in term 1.
func (l *Log) undoBootstrap() error {
	last, err := l.wal.LastIndex()
	if err != nil || last != 0 {
		return err
	}
	term, err := l.wal.GetUint64([]byte(currentTerm))
	if err != nil || term != 1 {
		return err
	}
	voted, err := l.wal.GetUint64([]byte(lastVoteTerm))
	if err != nil || voted != 0 {
		return err
	}
	return l.wal.SetUint64([]byte(currentTerm), 0)
}

// Vote is whom this node has voted for in that term, empty if nobody. (hashicorp/raft stores the candidate's address, which
// is its id here.)
func (l *Log) Vote(term uint64) raft.ServerID {
	voted, err := l.GetUint64([]byte(lastVoteTerm))
	if err != nil || voted != term {
		return ""
	}
	candidate, err := l.Get([]byte(lastVoteCand))
	if err != nil {
		return ""
	}
	return raft.ServerID(candidate)
}
