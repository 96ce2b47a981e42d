package move

import (
	"context"
	"testing"
	"time"

	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
)

var (
	aLease = []byte("a lease 16 bytes")
	other  = []byte("another 16 bytes")
)

// everywhere is the set of all partitions.
func everywhere() []byte {
	set := make([]byte, fsmcommand.PartitionSetBytes)
	for i := range set {
		set[i] = 0xff
	}
	return set
}

func writing(w *command.Write) *command.Command {
	return &command.Command{Kind: &command.Command_Write{Write: &command.WriteBatch{Writes: []*command.Write{w}}}}
}

func grant(id []byte, ttlMs uint64) *command.Command {
	return writing(&command.Write{Kind: &command.Write_GrantLease{GrantLease: &command.GrantLease{Lease: id, TtlMs: ttlMs, Partitions: everywhere()}}})
}

func keepAlive(id []byte) *command.Command {
	return writing(&command.Write{Kind: &command.Write_KeepAlive{KeepAlive: &command.KeepAlive{Lease: id, Partitions: everywhere()}}})
}

func revoke(id []byte) *command.Command {
	return writing(&command.Write{Kind: &command.Write_RevokeLease{RevokeLease: &command.RevokeLease{Lease: id, Partitions: everywhere()}}})
}

func leased(key string, id []byte) *command.Command {
	return writing(&command.Write{Kind: &command.Write_Put{Put: &command.Put{Key: []byte(key), Value: []byte("v"), Lease: id}}})
}

func ending() *command.Command {
	return &command.Command{Kind: &command.Command_Expire{Expire: &command.Expire{Leases: true}}}
}

// asked gives what became of the one write of a command.
func (g *group) asked(c *command.Command) pb.ErrorCode {
	g.world.t.Helper()
	applied := g.commit(g.node().term, c)
	if applied == nil || applied.Err != nil || len(applied.Results) != 1 {
		g.world.t.Fatalf("%v: %+v", c, applied)
	}
	if err := applied.Results[0].Err; err != nil {
		return err.Code
	}
	return 0
}

// A lease moves with what is left of its time, whatever the two shards' log times are, and goes on where it comes to.
func TestLeasesMove(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"the giver is ahead": 0, "the receiver is ahead": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.a.later(time.Hour)
			w.b.later(ahead)
			for _, g := range []*group{w.a, w.b} {
				g.must(raised())
			}
			for _, c := range []*command.Command{grant(aLease, 60_000), grant(other, 10_000), leased("k", aLease), leased("l", aLease), leased("m", other), mortal("free", 0)} {
				w.a.must(c)
			}
			w.a.later(5 * time.Second)
			if err := w.run(context.Background(), w.importer(), 2); err != nil {
				t.Fatal(err)
			}
			w.sweep()
			w.b.later(4_900 * time.Millisecond)
			w.b.must(ending())
			if held := w.b.values(); len(held) != 4 {
				t.Fatalf("before its time is over the receiver holds %v", held)
			}
			w.b.later(150 * time.Millisecond)
			w.b.must(ending())
			if held := w.b.values(); len(held) != 3 {
				t.Fatalf("after it the receiver holds %v", held)
			}
			if code := w.b.asked(keepAlive(other)); code != pb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND {
				t.Errorf("what has ended is kept alive: %v", code)
			}
			if code := w.b.asked(keepAlive(aLease)); code != 0 {
				t.Errorf("what has moved is not kept alive: %v", code)
			}
			w.b.later(59 * time.Second)
			w.b.must(ending())
			if code := w.b.asked(leased("n", aLease)); code != 0 {
				t.Errorf("no key is put into what was kept alive: %v", code)
			}
			w.b.must(revoke(aLease))
			if held := w.b.values(); len(held) != 1 || held["free"].Version == 0 {
				t.Errorf("after the revocation the receiver holds %v", held)
			}
			w.a.same()
			w.b.same()
		})
	}
}

// What becomes of leases while their partitions move is so at the receiver.
func TestLeasesThatChangeDuringAMove(t *testing.T) {
	for name, c := range map[string]struct {
		change []*command.Command
		later  time.Duration
		keys   int
		code   pb.ErrorCode
	}{
		"nothing":                     {nil, 0, 2, 0},
		"revoked":                     {[]*command.Command{revoke(aLease)}, 0, 0, pb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND},
		"expired":                     {[]*command.Command{ending()}, time.Minute, 0, pb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND},
		"kept alive":                  {[]*command.Command{keepAlive(aLease), ending()}, 59 * time.Second, 2, 0},
		"another key":                 {[]*command.Command{leased("new", aLease)}, 0, 3, 0},
		"a key that is free":          {[]*command.Command{mortal("k", 0)}, 0, 2, 0},
		"a key of another":            {[]*command.Command{grant(other, 60_000), leased("k", other)}, 0, 2, 0},
		"revoked and granted no more": {[]*command.Command{revoke(aLease), leased("k", aLease)}, 0, 0, pb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, g := range []*group{w.a, w.b} {
				g.must(raised())
			}
			for _, c := range []*command.Command{grant(aLease, 60_000), leased("k", aLease), leased("l", aLease)} {
				w.a.must(c)
			}
			w.moment, w.strike = "after B records", func() {
				w.a.later(c.later)
				for _, change := range c.change {
					w.a.must(change)
				}
			}
			if err := w.run(context.Background(), w.importer(), 2); err != nil {
				t.Fatal(err)
			}
			if held := w.b.values(); len(held) != c.keys {
				t.Errorf("the receiver holds %v", held)
			}
			if code := w.b.asked(keepAlive(aLease)); code != c.code {
				t.Errorf("kept alive: %v", code)
			}
			left := map[string]int{"a key that is free": 1, "a key of another": 1}[name]
			w.b.must(revoke(aLease))
			if held := w.b.values(); len(held) != left {
				t.Errorf("after the revocation the receiver holds %v", held)
			}
			w.b.same()
		})
	}
}

// A lease that has ended with more keys than an entry deletes moves in the middle of that, and the receiver goes on.
func TestALeaseMovesWhileItEnds(t *testing.T) {
	w := newWorld(t)
	for _, g := range []*group{w.a, w.b} {
		g.must(raised())
	}
	w.a.must(grant(aLease, 60_000))
	const many = 700
	for i := range many {
		w.a.must(leased(string(rune('a'+i%26))+string(rune('a'+i/26)), aLease))
	}
	w.a.must(revoke(aLease))
	if err := w.run(context.Background(), w.importer(), 2); err != nil {
		t.Fatal(err)
	}
	if held := w.b.values(); len(held) != many-512 {
		t.Fatalf("the receiver holds %d keys", len(held))
	}
	if code := w.b.asked(leased("new", aLease)); code != pb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND {
		t.Errorf("a key was put into what has ended: %v", code)
	}
	if due, err := w.b.node().fsm.Due(w.b.node().fsm.LogTimeMs()); err != nil || !due.Leases {
		t.Fatalf("the receiver does not know that there is something to do: %+v %v", due, err)
	}
	w.b.must(ending())
	if held := w.b.values(); len(held) != 0 {
		t.Errorf("in the end the receiver holds %d keys", len(held))
	}
}

// A move that breaks leaves nothing of leases at the receiver, and everything at the giver.
func TestLeasesOfAMoveThatBreaks(t *testing.T) {
	w := newWorld(t)
	for _, g := range []*group{w.a, w.b} {
		g.must(raised())
	}
	w.a.must(grant(aLease, 60_000))
	w.a.must(leased("k", aLease))
	w.moment, w.strike = "after B complete", func() {
		// The freeze ends by itself, and the lease goes on at the giver.
		w.a.later(freezeLimit)
		w.a.must(keepAlive(aLease))
	}
	if err := w.run(context.Background(), w.importer(), 2); err == nil {
		t.Fatal("the move was not broken")
	}
	w.sweep()
	if code := w.a.asked(keepAlive(aLease)); code != 0 {
		t.Fatalf("at the giver: %v", code)
	}
	if err := w.run(context.Background(), w.importer(), 3); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	if code := w.b.asked(keepAlive(aLease)); code != 0 {
		t.Fatalf("at the receiver: %v", code)
	}
	w.b.must(revoke(aLease))
	if held := w.b.values(); len(held) != 0 {
		t.Errorf("after the revocation the receiver holds %v", held)
	}
	w.a.same()
	w.b.same()
}
