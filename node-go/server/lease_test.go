package server

import (
	"bytes"
	"testing"

	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
)

// What can be none of a lease is refused before it is proposed.
func TestWhatIsAskedOfLeasesIsChecked(t *testing.T) {
	id, everywhere := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{0xff}, partitionsBytes)
	grant := func(id []byte, ttlMs uint64, partitions []byte) *kvorumv1.Operation {
		return &kvorumv1.Operation{Kind: &kvorumv1.Operation_GrantLease{GrantLease: &kvorumv1.GrantLeaseRequest{Lease: id, TtlMs: ttlMs, Partitions: partitions}}}
	}
	keep := func(id, partitions []byte) *kvorumv1.Operation {
		return &kvorumv1.Operation{Kind: &kvorumv1.Operation_KeepAlive{KeepAlive: &kvorumv1.KeepAliveRequest{Lease: id, Partitions: partitions}}}
	}
	revoke := func(id, partitions []byte) *kvorumv1.Operation {
		return &kvorumv1.Operation{Kind: &kvorumv1.Operation_RevokeLease{RevokeLease: &kvorumv1.RevokeLeaseRequest{Lease: id, Partitions: partitions}}}
	}
	put := func(lease []byte) *kvorumv1.Operation {
		return &kvorumv1.Operation{Kind: &kvorumv1.Operation_MortalPut{MortalPut: &kvorumv1.PutRequest{Key: []byte("k"), Lease: lease}}}
	}
	for name, c := range map[string]struct {
		op   *kvorumv1.Operation
		good bool
	}{
		"a grant": {grant(id, 1_000, everywhere), true}, "too short a time": {grant(id, 999, everywhere), false},
		"too long": {grant(id, fsm.TTLMsMax+1, everywhere), false}, "a short id": {grant(id[1:], 1_000, everywhere), false},
		"zeros": {grant(make([]byte, 16), 1_000, everywhere), false}, "few partitions": {grant(id, 1_000, everywhere[1:]), false},
		"no partitions": {keep(id, make([]byte, partitionsBytes)), false}, "a keep-alive": {keep(id, everywhere), true},
		"a revocation": {revoke(id, everywhere), true}, "a revocation of nothing": {revoke(nil, everywhere), false},
		"a put": {put(id), true}, "a put into none": {put(nil), true}, "a put into zeros": {put(make([]byte, 16)), false}, "a put into nothing": {put([]byte{}), false},
	} {
		if err := DefaultLimits().check(c.op); (err == nil) != c.good || err != nil && err.Code != pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkLease(revoke(id, everywhere)); err != nil {
		t.Error(err)
	}
}

// What an entry holds is what was asked, and what is answered is what came of it.
func TestLeasesToAndFromTheStateMachine(t *testing.T) {
	id, everywhere := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{0xff}, partitionsBytes)
	write := &command.Write{}
	toLeaseWrite(&kvorumv1.Operation{Kind: &kvorumv1.Operation_GrantLease{GrantLease: &kvorumv1.GrantLeaseRequest{Lease: id, TtlMs: 7, Partitions: everywhere}}}, write)
	if g := write.GetGrantLease(); !bytes.Equal(g.GetLease(), id) || g.GetTtlMs() != 7 || !bytes.Equal(g.GetPartitions(), everywhere) {
		t.Errorf("%v", write)
	}
	toLeaseWrite(&kvorumv1.Operation{Kind: &kvorumv1.Operation_KeepAlive{KeepAlive: &kvorumv1.KeepAliveRequest{Lease: id, Partitions: everywhere}}}, write)
	if k := write.GetKeepAlive(); !bytes.Equal(k.GetLease(), id) || !bytes.Equal(k.GetPartitions(), everywhere) {
		t.Errorf("%v", write)
	}
	toLeaseWrite(&kvorumv1.Operation{Kind: &kvorumv1.Operation_RevokeLease{RevokeLease: &kvorumv1.RevokeLeaseRequest{Lease: id, Partitions: everywhere}}}, write)
	if r := write.GetRevokeLease(); !bytes.Equal(r.GetLease(), id) || !bytes.Equal(r.GetPartitions(), everywhere) {
		t.Errorf("%v", write)
	}
	o := Options{}
	if got := o.toResult(fsm.Result{Kind: fsm.KindKeepAlive, TTLMs: 9}).GetKeepAlive(); got.GetTtlMs() != 9 {
		t.Errorf("%v", got)
	}
	if got := o.toResult(fsm.Result{Kind: fsm.KindRevokeLease, Existed: true, More: true}).GetRevokeLease(); !got.GetExisted() || !got.GetMore() {
		t.Errorf("%v", got)
	}
	if got := o.toResult(fsm.Result{Kind: fsm.KindGrantLease}); got.GetGrantLease() == nil {
		t.Errorf("%v", got)
	}
	gone := kverr.NotApplied(pb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND, "gone")
	if got := o.toResult(fsm.Result{Kind: fsm.KindKeepAlive, Err: gone}).GetError(); got.GetCode() != pb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND {
		t.Errorf("%v", got)
	}
}
