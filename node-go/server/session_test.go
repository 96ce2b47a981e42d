package server

import (
	"bytes"
	"testing"

	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
)

func inSession(op *kvorumv1.Operation, number uint32, sequence uint64) *kvorumv1.Operation {
	op.Session, op.Sequence = number, sequence
	return op
}

func appendTo(key, value string) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Append{Append: &kvorumv1.AppendRequest{Key: []byte(key), Value: []byte(value)}}}
}

func openSession() *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_OpenSession{OpenSession: &kvorumv1.OpenSessionRequest{Key: []byte("k"), Nonce: 9}}}
}

func TestWritesCarryTheirSessions(t *testing.T) {
	b := start(t, nil)
	one, two := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
	lane := b.lane(t)
	if err := lane.Send(&kvorumv1.BatchRequest{
		Id: 1, Sessions: []*kvorumv1.Session{{Id: one, Floor: 3}, {Id: two, Floor: 7}},
		Operations: []*kvorumv1.Operation{
			inSession(put("a", "x"), 2, 8), get("a"), inSession(appendTo("b", "y"), 1, 4), remove("c"), openSession(),
		},
	}); err != nil {
		t.Fatal(err)
	}
	response, err := lane.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Results[2].GetAppend(); got.GetVersion() != 2 || got.GetLength() != 5 {
		t.Fatalf("append answered %v", got)
	}
	if got := response.Results[4].GetOpenSession().GetId(); len(got) != 16 || got[0] != 1 {
		t.Fatalf("open answered %v", got)
	}
	batch := b.node.batches[0]
	if len(batch.Sessions) != 2 || batch.Sessions[1].Floor != 7 || !bytes.Equal(batch.Sessions[0].Id, one) {
		t.Fatalf("sessions %v", batch.Sessions)
	}
	for i, want := range [][2]uint64{{2, 8}, {1, 4}, {0, 0}, {0, 0}} {
		if w := batch.Writes[i]; uint64(w.Session) != want[0] || w.Sequence != want[1] {
			t.Fatalf("write %d: %v, want %v", i, w, want)
		}
	}
	if limit := batch.Writes[1].GetAppend().Limit; int(limit) != DefaultLimits().MaxValueBytes {
		t.Fatalf("the append may grow to %d", limit)
	}
	if ms := batch.Writes[3].GetOpen().ExpiryMs; ms != 3_600_000 {
		t.Fatalf("the session lives for %d ms", ms)
	}
}

func TestOperationsOfNoSessionAreRefused(t *testing.T) {
	good, short := &kvorumv1.Session{Id: make([]byte, 16)}, &kvorumv1.Session{Id: make([]byte, 15)}
	for name, c := range map[string]struct {
		op       *kvorumv1.Operation
		sessions []*kvorumv1.Session
	}{
		"a position that is not there": {inSession(put("a", ""), 2, 1), []*kvorumv1.Session{good}},
		"a number of no session":       {inSession(put("a", ""), 0, 1), []*kvorumv1.Session{good}},
		"no sequence number":           {inSession(put("a", ""), 1, 0), []*kvorumv1.Session{good}},
		"a short id":                   {inSession(put("a", ""), 1, 1), []*kvorumv1.Session{short}},
		"a read":                       {inSession(get("a"), 1, 1), []*kvorumv1.Session{good}},
		"an opening":                   {inSession(openSession(), 1, 1), []*kvorumv1.Session{good}},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			lane := b.lane(t)
			request := &kvorumv1.BatchRequest{Id: 1, Operations: []*kvorumv1.Operation{c.op}, Sessions: c.sessions}
			if err := lane.Send(request); err != nil {
				t.Fatal(err)
			}
			response, err := lane.Recv()
			if err != nil {
				t.Fatal(err)
			}
			expectCode(t, response.Results[0], pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
			if len(b.node.batches) > 0 {
				t.Fatal("it was proposed")
			}
		})
	}
}
