package transport

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"
)

var (
	// ErrBusy says that Raft did not take an order to campaign in time.
	ErrBusy = errors.New("raft is busy")
	// ErrClosed says that the transport is closed.
	ErrClosed = errors.New("the transport is closed")
)

// CampaignNow makes Raft on this node campaign at once, without asking first (pre-vote) and although other nodes may
// still believe in a leader. It is TimeoutNow, as a leader sends it to its successor. Call it on a follower only.
func (t *Transport) CampaignNow() error {
	answer := make(chan raft.RPCResponse, 1)
	id := []byte(t.identity.NodeID)
	order := raft.RPC{
		Command: &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: id, Addr: id,
		}},
		RespChan: answer,
	}
	timer := t.clock.NewTimer(t.limits.order)
	defer timer.Stop()
	select {
	case t.calls <- order:
	case <-timer.C():
		return ErrBusy
	case <-t.closed:
		return ErrClosed
	}
	// Raft has taken it and answers without waiting for anything.
	select {
	case response := <-answer:
		return response.Error
	case <-t.closed:
		return ErrClosed
	}
}

// Refused says whether the node's address refuses connections: its host is up and no process listens. A process that is
// paused or busy does not refuse, its kernel accepts for it; a host that is down does not answer.
func (t *Transport) Refused(ctx context.Context, id raft.ServerID) bool {
	address, ok := t.stream.book.Get(string(id))
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, t.limits.probe)
	defer cancel()
	conn, err := t.stream.dialTCP(ctx, address)
	if err != nil {
		return isRefused(err)
	}
	conn.Close()
	return false
}
