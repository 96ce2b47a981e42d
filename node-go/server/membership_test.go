package server

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

func (n *fakeNode) AddNonVoter(_ context.Context, id, address string, ifConfiguration uint64, _ time.Time) (uint64, *kverr.Error) {
	return n.changed("add "+id+" "+address, ifConfiguration)
}

func (n *fakeNode) Promote(_ context.Context, id string, ifConfiguration uint64, _ time.Time) (uint64, *kverr.Error) {
	return n.changed("promote "+id, ifConfiguration)
}

func (n *fakeNode) RemoveMember(_ context.Context, id string, ifConfiguration uint64, _ time.Time) (uint64, *kverr.Error) {
	return n.changed("remove "+id, ifConfiguration)
}

func (n *fakeNode) changed(what string, ifConfiguration uint64) (uint64, *kverr.Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes = append(n.changes, fmt.Sprint(what, " if ", ifConfiguration))
	return n.index, n.confirm
}

func TestChangesOfMembersArePassedOn(t *testing.T) {
	b := start(t, nil)
	b.node.index = 12
	node := &kvorumv1.Node{Id: "m", Address: "127.0.0.1:9"}
	for _, call := range []func() (*nodev1.ChangeMembersResponse, error){
		func() (*nodev1.ChangeMembersResponse, error) {
			return b.admin.AddNonVoter(b.ctx, &nodev1.AddNonVoterRequest{Node: node, IfConfiguration: 4})
		},
		func() (*nodev1.ChangeMembersResponse, error) {
			return b.admin.Promote(b.ctx, &nodev1.PromoteRequest{NodeId: "m", IfConfiguration: 5})
		},
		func() (*nodev1.ChangeMembersResponse, error) {
			return b.admin.RemoveMember(b.ctx, &nodev1.RemoveMemberRequest{NodeId: "m"})
		},
	} {
		answer, err := call()
		if err != nil || answer.Configuration != 12 {
			t.Fatalf("got %v %v", answer, err)
		}
	}
	want := []string{"add m 127.0.0.1:9 if 4", "promote m if 5", "remove m if 0"}
	if !reflect.DeepEqual(b.node.changes, want) {
		t.Fatalf("got %q", b.node.changes)
	}
}

func TestAChangeOfMembersNeedsANodeAndALeader(t *testing.T) {
	b := start(t, nil)
	for name, call := range map[string]func() error{
		"nobody": func() error { _, err := b.admin.AddNonVoter(b.ctx, &nodev1.AddNonVoterRequest{}); return err },
		"no address": func() error {
			_, err := b.admin.AddNonVoter(b.ctx, &nodev1.AddNonVoterRequest{Node: &kvorumv1.Node{Id: "m"}})
			return err
		},
		"no voter":  func() error { _, err := b.admin.Promote(b.ctx, &nodev1.PromoteRequest{}); return err },
		"no member": func() error { _, err := b.admin.RemoveMember(b.ctx, &nodev1.RemoveMemberRequest{}); return err },
	} {
		if err := call(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.node.confirm = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "not the leader")
	if _, err := b.admin.Promote(b.ctx, &nodev1.PromoteRequest{NodeId: "m"}); status.Code(err) != statusOf[pb.ErrorCode_ERROR_CODE_NOT_LEADER] {
		t.Fatalf("got %v", err)
	}
}
