package fsm

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

func requireResults(t *testing.T, f *FSM, c *pb.Command, want ...errpb.ErrorCode) []Result {
	t.Helper()
	results := must(t, f, c).Results
	for i := range results {
		if codeOf(results[i].Err) != want[i] {
			t.Fatalf("write %d: %v, want %v", i, results[i].Err, want[i])
		}
	}
	requireLeases(t, f)
	return results
}

func TestWhichWritesKeepTheLease(t *testing.T) {
	for name, c := range map[string]struct {
		write *pb.Write
		gone  bool
	}{
		"a put ends it":           {put("k", "2"), false},
		"a put into it":           {leased("k", "2", 1), true},
		"a put into another":      {leased("k", "2", 2), false},
		"compare-and-set ends it": {swap("k", []byte("1"), "2"), false},
		"an append keeps it":      {add("k", "2"), true},
		"an increment keeps it":   {increment("k", 1), true},
		"a touch keeps it":        {touch("k", 5_000), true},
		"a refused put keeps it":  {put("k", "2", 99), true},
		"and one into no lease":   {leased("k", "2", 9), true},
		"a transaction's put":     {transact(nil, steps(put("k", "2")), nil), false},
		"one that is undone":      {transact(nil, steps(put("k", "x"), increment("k", 1)), nil), true},
		"one into another, too":   {transact(nil, steps(leased("k", "x", 2), increment("k", 1)), nil), true},
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, in one entry: %v", name, together), func(t *testing.T) {
				f, _ := newest(t)
				list := []*pb.Write{grant(1, 1_000, all()), grant(2, 1_000, all()), leased("k", "1", 1), c.write, revoke(1, all())}
				if together {
					must(t, f, writes(list...))
				} else {
					for _, w := range list {
						must(t, f, writes(w))
						requireLeases(t, f)
					}
				}
				requireLeases(t, f)
				if _, found, err := f.Get([]byte("k")); found == c.gone || err != nil {
					t.Fatalf("after the revocation: found %v, error %v", found, err)
				}
			})
		}
	}
}

func TestNothingIsPutIntoALeaseThatIsGone(t *testing.T) {
	f, _ := newest(t)
	requireResults(t, f, writes(leased("k", "v", 1), keepAlive(1, all())), noLease, noLease)
	requireResults(t, f, writes(grant(1, 1_000, where("k")), leased("k", "v", 1), leased("elsewhere", "v", 1)), 0, 0, noLease)
	requireResults(t, f, writes(keepAlive(1, where("k")), keepAlive(1, all())), 0, noLease)
	requireResults(t, f, writes(revoke(1, all()), leased("k", "w", 1), keepAlive(1, where("k"))), 0, noLease, noLease)
	requireAbsent(t, f, "k")
	if n := rowsOf(t, f); n > 0 {
		t.Fatalf("%d rows are left", n)
	}
	if r := must(t, f, writes(revoke(1, all()))).Results[0]; r.Existed || r.More || r.Err != nil {
		t.Fatalf("what is gone was revoked: %+v", r)
	}
}

func TestALeaseEndsWhenNobodyKeepsItAlive(t *testing.T) {
	f, _ := newest(t)
	must(t, f, at(1_000, writes(grant(1, 1_000, all()), grant(2, 5_000, all()), leased("a", "1", 1), leased("b", "1", 1), leased("c", "1", 2))))
	if due, err := f.Due(1_999); err != nil || due.Leases || due.Next != 2_000 {
		t.Fatalf("%+v %v", due, err)
	}
	must(t, f, at(1_999, ending()))
	requireValue(t, f, "a", "1", 1)
	// Kept alive, it lives from then on; and a stamp that is behind shortens nothing.
	if r := requireResults(t, f, at(1_999, writes(keepAlive(1, all()))), 0)[0]; r.TTLMs != 1_000 {
		t.Fatalf("%+v", r)
	}
	must(t, f, at(100, writes(keepAlive(1, all()))), at(2_998, ending()))
	requireValue(t, f, "a", "1", 1)
	if due, err := f.Due(2_999); err != nil || !due.Leases {
		t.Fatalf("%+v %v", due, err)
	}
	must(t, f, at(2_999, ending()))
	requireLeases(t, f)
	requireAbsent(t, f, "a")
	requireAbsent(t, f, "b")
	requireValue(t, f, "c", "1", 1)
	requireResults(t, f, writes(keepAlive(1, all()), leased("a", "2", 1)), noLease, noLease)
	// The version goes on.
	must(t, f, writes(put("a", "2")))
	requireValue(t, f, "a", "2", 2)
}

// Both a time of its own and a lease: whichever ends first.
func TestAKeyWithATimeAndALease(t *testing.T) {
	both := func() *pb.Write {
		w := leased("k", "v", 1)
		w.GetPut().TtlMs = 2_000
		return w
	}
	both2 := func() *pb.Command {
		c := expire("k")
		c.GetExpire().Leases = true
		return c
	}
	for _, lease := range []uint64{1_000, 2_000, 3_000} {
		f, _ := newest(t)
		must(t, f, writes(grant(1, lease, all()), both()), at(min(lease, 2_000)-1, both2()))
		requireValue(t, f, "k", "v", 1)
		must(t, f, at(min(lease, 2_000), both2()))
		requireAbsent(t, f, "k")
		requireLeases(t, f)
		requireRows(t, f)
		must(t, f, at(3_000, ending()))
		if n := rowsOf(t, f); n > 0 {
			t.Fatalf("%d rows are left", n)
		}
	}
}

// A lease with more keys than an entry deletes takes none any more from the first one on, and is gone with the last.
func TestALeaseOfManyKeysEndsInSteps(t *testing.T) {
	const many = 2*leaseKeysMax + 10
	for name, end := range map[string]func(f *FSM){
		"revoked": func(f *FSM) {
			if r := must(t, f, writes(revoke(1, all()))).Results[0]; !r.More || !r.Existed {
				t.Fatalf("%+v", r)
			}
		},
		"expired": func(f *FSM) { must(t, f, at(1_000, ending())) },
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := newest(t)
			must(t, f, writes(grant(1, 1_000, all())))
			var list []*pb.Write
			for i := range many {
				list = append(list, leased(fmt.Sprint("k", i), "v", 1))
			}
			must(t, f, writes(list...))
			end(f)
			requireLeases(t, f)
			if n := len(f.state.leases.of); n != many-leaseKeysMax {
				t.Fatalf("%d keys are left", n)
			}
			requireResults(t, f, writes(leased("new", "v", 1), keepAlive(1, all()), grant(1, 1_000, all())), noLease, noLease, noLease)
			// A key that somebody else has written since is not the lease's.
			saved := ""
			for key := range f.state.leases.of {
				saved = key
			}
			must(t, f, writes(put(saved, "mine")))
			f = newFSM(t, f.engine)
			for step := range 2 {
				if due, err := f.Due(f.LogTimeMs()); err != nil || !due.Leases {
					t.Fatalf("step %d: %+v %v", step, due, err)
				}
				must(t, f, ending())
				requireLeases(t, f)
			}
			if due, err := f.Due(1 << 40); err != nil || due.Leases || rowsOf(t, f) > 0 {
				t.Fatalf("%+v %v, %d rows", due, err, rowsOf(t, f))
			}
			if _, found, _ := f.Get([]byte(saved)); !found {
				t.Fatal("a key was deleted with a lease that it did not belong to any more")
			}
		})
	}
}

func TestWhatIsAskedOfALeaseIsAnsweredOnce(t *testing.T) {
	f, id := newest(t)
	must(t, f, once(id, 1, 1, grant(1, 1_000, all())), writes(leased("k", "v", 1)))
	first := must(t, f, once(id, 1, 2, revoke(1, all()))).Results[0]
	for _, name := range []string{"the same", "after a restart"} {
		// A late copy of the grant makes nothing.
		if r := must(t, f, once(id, 1, 1, grant(1, 1_000, all()))).Results[0]; r.Err != nil || rowsOf(t, f) > 0 {
			t.Fatalf("%s: %+v, %d rows", name, r, rowsOf(t, f))
		}
		if r := must(t, f, once(id, 1, 2, revoke(1, all()))).Results[0]; r.Err != nil || !r.Existed || !first.Existed || r.Kind != KindRevokeLease {
			t.Fatalf("%s: %+v", name, r)
		}
		f = newFSM(t, f.engine)
	}
	// A refused put stays refused, also when the lease is there by then.
	must(t, f, once(id, 1, 3, leased("k", "v", 2)), writes(grant(2, 1_000, all())))
	if r := must(t, f, once(id, 1, 3, leased("k", "v", 2))).Results[0]; codeOf(r.Err) != noLease {
		t.Fatalf("%+v", r)
	}
	requireAbsent(t, f, "k")
	requireLeases(t, f)
}

func TestLeasesAreChecked(t *testing.T) {
	zero, short := grant(1, 1_000, all()), grant(1, 1_000, all())
	zero.GetGrantLease().Lease = make([]byte, command.LeaseIDBytes)
	short.GetGrantLease().Partitions = []byte{1}
	f, _ := newest(t)
	requireResults(t, f, writes(zero, short, grant(1, LeaseTTLMsMin-1, all()), grant(1, TTLMsMax+1, all()), keepAlive(1), revoke(1)),
		invalid, invalid, invalid, invalid, invalid, invalid)
	none := leased("k", "v", 1)
	none.GetPut().Lease = make([]byte, command.LeaseIDBytes)
	requireResults(t, f, writes(none), noLease)
}

// A shard answers about all of the partitions that it is asked for, or about none.
func TestPartsElsewhere(t *testing.T) {
	const wrong, moving = errpb.ErrorCode_ERROR_CODE_WRONG_SHARD, errpb.ErrorCode_ERROR_CODE_MOVING
	f, _ := newest(t)
	must(t, f, writes(grant(1, 1_000, all())), move(stepFreeze, 2, span(3, 5)))
	requireResults(t, f, writes(grant(2, 1_000, all()), keepAlive(1, all()), revoke(1, span(0, 3)), keepAlive(1, span(6, 9))), moving, moving, moving, 0)
	for _, w := range []*pb.Write{keepAlive(1, all()), keepAlive(1, span(0, 2))} {
		if refused := f.Frozen(w, f.LogTimeMs()); (refused != nil) != (w.GetKeepAlive().Partitions[0]&8 != 0) {
			t.Fatalf("before it is proposed: %v", refused)
		}
	}
	must(t, f, move(stepRelease, 2, span(3, 5)))
	requireResults(t, f, writes(grant(2, 1_000, all()), keepAlive(1, all()), revoke(1, span(0, 3))), wrong, wrong, wrong)
	if l := f.state.leases; len(l.byID) != 1 {
		t.Fatalf("%v", l.byID)
	}
	must(t, f, swept(2, span(3, 5)))
	if l := f.state.leases.byID[leaseID(1)]; l.live.has(3) || l.live.has(5) || !l.live.has(2) || !l.live.has(6) {
		t.Fatal("what was swept is still the lease's, or more than that was")
	}
	requireLeases(t, f)
}

// From the freeze on nothing of the partition changes, and where leases are due there they end with the end of the freeze.
func TestNothingEndsInAFrozenPartition(t *testing.T) {
	f, _ := newest(t)
	mine := where("k")
	must(t, f, at(100, writes(grant(1, 1_000, all()), leased("k", "v", 1), leased("other", "v", 1))), at(500, move(stepFreeze, 2, mine)))
	must(t, f, at(1_200, ending()))
	requireLeases(t, f)
	requireAbsent(t, f, "other")
	requireValue(t, f, "k", "v", 1)
	if due, err := f.Due(1_200); err != nil || due.Leases || due.Next != 500+freezeMs {
		t.Fatalf("%+v %v", due, err)
	}
	must(t, f, at(500+freezeMs, ending()))
	requireAbsent(t, f, "k")
	if n := rowsOf(t, f); n > 0 {
		t.Fatalf("%d rows are left", n)
	}
}

func TestASnapshotHasTheLeases(t *testing.T) {
	f, _ := newest(t)
	must(t, f, at(100, writes(grant(1, 1_000, all()), leased("k", "v", 1), grant(2, 9_000, span(1, 2)))))
	other := owner(t)
	if err := other.Restore(io.NopCloser(bytes.NewReader(content(t, f.engine)))); err != nil {
		t.Fatal(err)
	}
	requireLeases(t, other)
	if due, err := other.Due(1_099); err != nil || due.Next != 1_100 {
		t.Fatalf("%+v %v", due, err)
	}
	must(t, other, at(1_100, ending()))
	requireAbsent(t, other, "k")
}

func TestLeasesAreBounded(t *testing.T) {
	f, _ := newest(t)
	list := f.state.leases
	for n := range LeasesMax {
		l := &lease{id: LeaseID{1, byte(n >> 8), byte(n)}, ttlMs: 1_000, expiry: 1 << 40}
		list.byID[l.id] = l
	}
	if r := must(t, f, writes(grant(7, 1_000, all()))).Results[0]; codeOf(r.Err) != errpb.ErrorCode_ERROR_CODE_OVERLOADED {
		t.Fatalf("%+v", r)
	}
}

// Engines hold these bytes for years, and streams carry them between versions. A change here is a change of the format.
func TestLeaseRowsGolden(t *testing.T) {
	l := &lease{id: leaseID(1), ttlMs: 0x1234, expiry: 0x18bcfe56800}
	l.live.add(0)
	l.live.add(1023)
	set := "01" + strings.Repeat("00", 126) + "80"
	if got := hex.EncodeToString(l.encode()); got != "3412000000000000"+"0068e5cf8b010000"+set {
		t.Errorf("a lease is %s", got)
	}
	l.ended.add(9)
	if got := hex.EncodeToString(l.encode()); got != "3412000000000000"+"0068e5cf8b010000"+set+"0002"+strings.Repeat("00", 126) {
		t.Errorf("a lease that ends is %s", got)
	}
	if got, ok := decodeLease(leaseKey(l.id), l.encode()); !ok || *got != *l {
		t.Errorf("decoded as %+v", got)
	}
	if got := hex.EncodeToString(leaseKey(l.id)) + hex.EncodeToString(attachmentKey("k")); got != "0501"+strings.Repeat("00", 14)+"ff"+"066b" {
		t.Errorf("keys are %s", got)
	}
	for name, row := range map[string]engine.Record{
		"no partitions":   {Key: leaseKey(l.id), Value: (&lease{id: l.id}).encode()},
		"a short row":     {Key: leaseKey(l.id), Value: l.encode()[1:]},
		"a short id":      {Key: leaseKey(l.id)[1:], Value: l.encode()},
		"a lease of none": {Key: attachmentKey("k"), Value: make([]byte, command.LeaseIDBytes)},
		"a key of none":   {Key: attachmentKey("k"), Value: leaseKey(l.id)[1:]},
	} {
		e := memory.New()
		batch := engine.NewBatch(1)
		batch.Put(engine.Record{Key: headKey, Value: head{format: 3, index: 1, term: 1}.encode()})
		var owned partition
		owned.State = Owned
		batch.Put(engine.Record{Key: partitionKey(int(command.Partition([]byte("k")))), Value: owned.encode()})
		if name == "a short id" {
			row.Key = append([]byte{spaceLease}, row.Key...)[:5]
		}
		batch.Put(row)
		if err := e.Apply(batch); err != nil {
			t.Fatal(err)
		}
		_, err := New(e, Options{Log: quiet()})
		if err == nil {
			t.Errorf("%s: was loaded", name)
			continue
		}
		requireCode(t, err, errpb.ErrorCode_ERROR_CODE_CORRUPT)
	}
}
