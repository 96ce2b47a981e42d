package server

import (
	"context"
	"time"

	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

func (s *nodeService) AddNonVoter(ctx context.Context, request *nodev1.AddNonVoterRequest) (*nodev1.ChangeMembersResponse, error) {
	node := request.Node
	if node.GetId() == "" || node.GetAddress() == "" {
		return nil, s.options.fail(ctx, invalid("a member needs an id and an address"))
	}
	return s.changeMembers(ctx, func(target Replica, deadline time.Time) (uint64, *kverr.Error) {
		return target.AddNonVoter(ctx, node.Id, node.Address, request.IfConfiguration, deadline)
	})
}

func (s *nodeService) Promote(ctx context.Context, request *nodev1.PromoteRequest) (*nodev1.ChangeMembersResponse, error) {
	if request.NodeId == "" {
		return nil, s.options.fail(ctx, invalid("a member needs an id"))
	}
	return s.changeMembers(ctx, func(target Replica, deadline time.Time) (uint64, *kverr.Error) {
		return target.Promote(ctx, request.NodeId, request.IfConfiguration, deadline)
	})
}

func (s *nodeService) RemoveMember(ctx context.Context, request *nodev1.RemoveMemberRequest) (*nodev1.ChangeMembersResponse, error) {
	if request.NodeId == "" {
		return nil, s.options.fail(ctx, invalid("a member needs an id"))
	}
	return s.changeMembers(ctx, func(target Replica, deadline time.Time) (uint64, *kverr.Error) {
		return target.RemoveMember(ctx, request.NodeId, request.IfConfiguration, deadline)
	})
}

func (s *nodeService) changeMembers(ctx context.Context, change func(Replica, time.Time) (uint64, *kverr.Error)) (*nodev1.ChangeMembersResponse, error) {
	target, err := s.options.Node.Replica()
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	configuration, err := change(target, s.deadline(ctx))
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.ChangeMembersResponse{Configuration: configuration}, nil
}
