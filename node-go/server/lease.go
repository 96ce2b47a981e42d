package server

import (
	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
)

// checkLease refuses here what the state machine would refuse, so that it costs no entry.
func checkLease(op *kvorumv1.Operation) *kverr.Error {
	switch kind := op.Kind.(type) {
	case *kvorumv1.Operation_GrantLease:
		if err := fsm.CheckLeaseTTL(kind.GrantLease.TtlMs); err != nil {
			return err
		}
		return fsm.CheckLease(kind.GrantLease.Lease, kind.GrantLease.Partitions)
	case *kvorumv1.Operation_KeepAlive:
		return fsm.CheckLease(kind.KeepAlive.Lease, kind.KeepAlive.Partitions)
	default:
		return fsm.CheckLease(op.GetRevokeLease().GetLease(), op.GetRevokeLease().GetPartitions())
	}
}

func toLeaseWrite(op *kvorumv1.Operation, write *command.Write) {
	switch kind := op.Kind.(type) {
	case *kvorumv1.Operation_GrantLease:
		grant := kind.GrantLease
		write.Kind = &command.Write_GrantLease{GrantLease: &command.GrantLease{Lease: grant.Lease, TtlMs: grant.TtlMs, Partitions: grant.Partitions}}
	case *kvorumv1.Operation_KeepAlive:
		write.Kind = &command.Write_KeepAlive{KeepAlive: &command.KeepAlive{Lease: kind.KeepAlive.Lease, Partitions: kind.KeepAlive.Partitions}}
	case *kvorumv1.Operation_RevokeLease:
		revoke := kind.RevokeLease
		write.Kind = &command.Write_RevokeLease{RevokeLease: &command.RevokeLease{Lease: revoke.Lease, Partitions: revoke.Partitions}}
	}
}

func toLeaseResult(result fsm.Result) *kvorumv1.Result {
	switch result.Kind {
	case fsm.KindGrantLease:
		return &kvorumv1.Result{Kind: &kvorumv1.Result_GrantLease{GrantLease: &kvorumv1.GrantLeaseResponse{}}}
	case fsm.KindKeepAlive:
		return &kvorumv1.Result{Kind: &kvorumv1.Result_KeepAlive{KeepAlive: &kvorumv1.KeepAliveResponse{TtlMs: result.TTLMs}}}
	default:
		answer := &kvorumv1.RevokeLeaseResponse{Existed: result.Existed, More: result.More}
		return &kvorumv1.Result{Kind: &kvorumv1.Result_RevokeLease{RevokeLease: answer}}
	}
}
