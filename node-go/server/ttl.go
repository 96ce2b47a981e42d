package server

import (
	"kvorum/node/engine"
	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
)

// checkTTL: an absent time to live is none; 0 would be a key that nobody sees.
func checkTTL(ms *uint64) *kverr.Error {
	if ms == nil || *ms >= 1 && *ms <= fsm.TTLMsMax {
		return nil
	}
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
		"a time to live is 1 to %d ms (10 years), not %d", uint64(fsm.TTLMsMax), *ms)
}

// ttlOf is what is left to a record that has a time to live; nil: it has none. A key that is due is there until it is deleted.
func ttlOf(target Replica, record engine.Record) *uint64 {
	if record.Expiry == 0 {
		return nil
	}
	left := fsm.Left(record.Expiry, target.LogTimeMs())
	return &left
}

// ttlOf answers without the value.
func (b *batch) ttlOf(target Replica, key []byte) (*kvorumv1.Result, int) {
	record, found, err := target.Get(key)
	if err != nil {
		return b.options.failed(readError(err)), operationOverhead
	}
	response := &kvorumv1.TtlOfResponse{Found: found}
	if found {
		response.TtlMs = ttlOf(target, record)
	}
	return &kvorumv1.Result{Kind: &kvorumv1.Result_TtlOf{TtlOf: response}}, operationOverhead
}

// isWrite says whether an operation can be part of a session.
func isWrite(op *kvorumv1.Operation) bool {
	return op.GetGet() == nil && op.GetTtlOf() == nil && op.GetPage() == nil && op.GetOpenSession() == nil
}
