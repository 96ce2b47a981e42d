package main

import (
	"context"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvorum/node/fsm/command"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
)

func (p *process) node() *kvorumv1.Node {
	return &kvorumv1.Node{Id: p.ready["id"], Address: p.ready["address"]}
}

func statusOf(t *testing.T, ctx context.Context, p *process) *nodev1.NodeStatus {
	t.Helper()
	answer, err := p.admin.Status(ctx, &nodev1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status
}

// awaitStatus watches a node.
func awaitStatus(t *testing.T, ctx context.Context, p *process, good func(*nodev1.NodeStatus) bool) *nodev1.NodeStatus {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.admin.Watch(ctx, &nodev1.WatchRequest{})
	for err == nil {
		var update *nodev1.WatchResponse
		if update, err = stream.Recv(); err == nil && good(update.Status) {
			return update.Status
		}
	}
	t.Fatalf("%v; %v", err, statusOf(t, ctx, p))
	return nil
}

// join makes a process a voter. It is refused as long as it has not caught up.
func join(t *testing.T, ctx context.Context, leader, p *process) {
	t.Helper()
	added, err := leader.admin.AddNonVoter(ctx, &nodev1.AddNonVoterRequest{Node: p.node()})
	if err != nil {
		t.Fatal(err)
	}
	request := &nodev1.PromoteRequest{NodeId: p.ready["id"], IfConfiguration: added.Configuration}
	for _, err = leader.admin.Promote(ctx, request); err != nil; _, err = leader.admin.Promote(ctx, request) {
		if status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
	}
	awaitStatus(t, ctx, p, func(s *nodev1.NodeStatus) bool {
		return s.Role == nodev1.Role_ROLE_FOLLOWER && s.ConfigurationCommitted
	})
}

// Real processes grow to three, of which one is of the version before.
func TestProcessesJoinAndLeave(t *testing.T) {
	ctx := testContext(t)
	first, second := launch(t, t.TempDir(), "--format-new", "1"), launch(t, t.TempDir())
	dir := t.TempDir()
	old := launch(t, dir, "--format-max", "1")
	bootstrap(t, ctx, first)
	mustPut(t, ctx, first, []byte("k"), []byte("v"))
	if s := statusOf(t, ctx, second); s.State != nodev1.State_STATE_WAITING || s.FormatMax != command.Format {
		t.Fatalf("status %v", s)
	}
	join(t, ctx, first, second)
	join(t, ctx, first, old)
	_, err := first.admin.RaiseFormat(ctx, &nodev1.RaiseFormatRequest{Format: 2})
	if status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("raised although a member does not know the format: %v", err)
	}
	old.end(t, syscall.SIGKILL)
	upgraded := launch(t, dir)
	// It listens elsewhere now.
	if _, err := first.admin.AddNonVoter(ctx, &nodev1.AddNonVoterRequest{Node: upgraded.node()}); err != nil {
		t.Fatal(err)
	}
	raiseFormat(t, ctx, first)
	awaitStatus(t, ctx, upgraded, func(s *nodev1.NodeStatus) bool { return s.Format == command.Format })
	removed, err := first.admin.RemoveMember(ctx, &nodev1.RemoveMemberRequest{NodeId: second.ready["id"]})
	if err != nil {
		t.Fatal(err)
	}
	s := awaitStatus(t, ctx, second, func(s *nodev1.NodeStatus) bool { return s.State == nodev1.State_STATE_NOT_MEMBER })
	if s.Role != nodev1.Role_ROLE_UNSPECIFIED || s.Configuration != removed.Configuration || len(s.Members) != 2 {
		t.Fatalf("status %v", s)
	}
	mustPut(t, ctx, first, []byte("k"), []byte("w"))
}
