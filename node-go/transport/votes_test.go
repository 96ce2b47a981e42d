package transport

import (
	"testing"

	"github.com/hashicorp/raft"
)

func (n *testNode) askVote(to raft.ServerID, pre bool) (granted bool, err error) {
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(n.id), Addr: []byte(n.id)}
	if pre {
		var response raft.RequestPreVoteResponse
		err = n.RequestPreVote(to, raft.ServerAddress(to), &raft.RequestPreVoteRequest{RPCHeader: header, Term: 2}, &response)
		return response.Granted, err
	}
	var response raft.RequestVoteResponse
	err = n.RequestVote(to, raft.ServerAddress(to), &raft.RequestVoteRequest{RPCHeader: header, Term: 2}, &response)
	return response.Granted, err
}

func granting(call raft.RPC) {
	switch call.Command.(type) {
	case *raft.RequestVoteRequest:
		call.Respond(&raft.RequestVoteResponse{Term: 2, Granted: true}, nil)
	case *raft.RequestPreVoteRequest:
		call.Respond(&raft.RequestPreVoteResponse{Term: 2, Granted: true}, nil)
	}
}

// Connections to the peer's earlier process are all that there are.
func TestAVoteIsAskedOfAPeerThatWasRestarted(t *testing.T) {
	for name, pre := range map[string]bool{"vote": false, "pre-vote": true} {
		t.Run(name, func(t *testing.T) {
			a, before := startNode(t, "a"), startNode(t, "b")
			a.knows(before)
			var calls []raft.RPC
			all := make(chan struct{})
			before.serve(t, func(call raft.RPC) {
				if calls = append(calls, call); len(calls) == maxIdle {
					close(all)
				}
			})
			answers := make(chan error, maxIdle)
			for range maxIdle {
				go func() {
					_, err := a.askVote("b", pre)
					answers <- err
				}()
			}
			await(t, "as many calls as connections are kept", all)
			for _, call := range calls {
				granting(call)
			}
			for range maxIdle {
				if err := <-answers; err != nil {
					t.Fatal(err)
				}
			}
			before.kill()
			after := startNode(t, "b")
			after.serve(t, granting)
			a.knows(after)
			if granted, err := a.askVote("b", pre); err != nil || !granted {
				t.Fatalf("granted %v, %v", granted, err)
			}
		})
	}
}

func TestAPeerThatIsGoneIsNotAskedForever(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	b.serve(t, granting)
	if _, err := a.askVote("b", false); err != nil {
		t.Fatal(err)
	}
	b.kill()
	if granted, err := a.askVote("b", false); err == nil || granted {
		t.Fatalf("granted %v, %v", granted, err)
	}
}
