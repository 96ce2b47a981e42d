package transport

import (
	"errors"
	"io"
	"syscall"

	"github.com/hashicorp/raft"
)

// RequestVote asks a peer for its vote.
func (t *Transport) RequestVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	return pastStale(func() error { return t.NetworkTransport.RequestVote(id, target, request, response) })
}

// RequestPreVote asks a peer whether it would vote.
func (t *Transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	return pastStale(func() error { return t.NetworkTransport.RequestPreVote(id, target, request, response) })
}

// pastStale repeats a call whose connection has broken. Between followers connections carry votes and nothing else: nobody
// reads from them in between, so that the first call after a peer's restart finds those of its earlier process. Raft asks
// once per election, and would wait for the next one, half a second or more. A vote may be asked for twice: it is the same.
func pastStale(call func() error) error {
	err := call()
	for stale := 0; stale < maxIdle && isBroken(err); stale++ {
		err = call()
	}
	return err
}

func isBroken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
