package server

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
)

func mortal(key string, ttlMs uint64) *kvorumv1.Operation {
	op := put(key, "v")
	op.GetPut().TtlMs = proto.Uint64(ttlMs)
	return op
}

func touch(key string, ttlMs *uint64) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Touch{Touch: &kvorumv1.TouchRequest{Key: []byte(key), TtlMs: ttlMs}}}
}

func ttlOfKey(key string) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_TtlOf{TtlOf: &kvorumv1.TtlOfRequest{Key: []byte(key)}}}
}

func TestTimesToLiveAreProposedAndAnswered(t *testing.T) {
	b := start(t, nil)
	results := asked(t, b, mortal("a", 7), touch("b", proto.Uint64(fsm.TTLMsMax)), touch("c", nil), put("d", "v"))
	if !results[1].GetTouch().GetExisted() || results[0].GetPut().GetVersion() != 1 {
		t.Fatalf("answered %v", results)
	}
	writes := b.node.batches[0].Writes
	if writes[0].GetPut().TtlMs != 7 || writes[1].GetTouch().TtlMs != fsm.TTLMsMax || writes[2].GetTouch().TtlMs != 0 || writes[3].GetPut().TtlMs != 0 {
		t.Fatalf("proposed %v", writes)
	}
}

func TestATimeToLiveIsOneMsToTenYears(t *testing.T) {
	b := start(t, nil)
	results := asked(t, b, mortal("a", 0), mortal("a", fsm.TTLMsMax+1), touch("a", proto.Uint64(0)), touch("a", proto.Uint64(1<<63)),
		touch("", nil), ttlOfKey(""), touch("a", proto.Uint64(1)))
	for i := range 6 {
		expectCode(t, results[i], pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	}
	if results[6].GetTouch() == nil || len(b.node.batches[0].Writes) != 1 {
		t.Fatalf("answered %v, proposed %v", results[6], b.node.batches)
	}
}

func TestWhatIsLeftIsToldByLogTime(t *testing.T) {
	b := start(t, nil)
	b.node.logTimeMs = 1_000
	for key, expiry := range map[string]uint64{"never": 0, "later": 1_030, "due": 1_000, "overdue": 3} {
		b.node.set(key, "v")
		b.node.expiries[key] = expiry
	}
	results := asked(t, b, ttlOfKey("never"), ttlOfKey("later"), ttlOfKey("due"), ttlOfKey("overdue"), ttlOfKey("absent"))
	for i, want := range []int64{-1, 30, 0, 0, -1} {
		got := results[i].GetTtlOf()
		if got == nil || got.Found != (i < 4) || (got.TtlMs == nil) != (want < 0) || got.GetTtlMs() != uint64(max(0, want)) {
			t.Errorf("%d: %v", i, results[i])
		}
		if read := asked(t, b, get([]string{"never", "later", "due", "overdue", "absent"}[i]))[0].GetGet(); read.GetTtlMs() != got.GetTtlMs() ||
			(read.TtlMs == nil) != (got.TtlMs == nil) {
			t.Errorf("%d: a get told %v", i, read)
		}
	}
	if len(b.node.batches) > 0 {
		t.Fatalf("a question was proposed: %v", b.node.batches)
	}
	numbered := ttlOfKey("never")
	numbered.Session, numbered.Sequence = 1, 1
	lane := b.lane(t)
	request := &kvorumv1.BatchRequest{Id: 1, Operations: []*kvorumv1.Operation{numbered}, Sessions: []*kvorumv1.Session{{Id: make([]byte, 16)}}}
	if err := lane.Send(request); err != nil {
		t.Fatal(err)
	}
	response, err := lane.Recv()
	if err != nil {
		t.Fatal(err)
	}
	expectCode(t, response.Results[0], pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}
