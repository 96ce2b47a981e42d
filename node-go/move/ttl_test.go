package move

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

func raised() *command.Command {
	return &command.Command{Kind: &command.Command_Raise{Raise: &command.RaiseFormat{Format: fsmcommand.Format}}}
}

func mortal(key string, ttlMs uint64) *command.Command {
	put := &command.Write{Kind: &command.Write_Put{Put: &command.Put{Key: []byte(key), Value: []byte("v"), TtlMs: ttlMs}}}
	return &command.Command{Kind: &command.Command_Write{Write: &command.WriteBatch{Writes: []*command.Write{put}}}}
}

func expire(keys ...string) *command.Command {
	e := &command.Expire{}
	for _, key := range keys {
		e.Keys = append(e.Keys, []byte(key))
	}
	return &command.Command{Kind: &command.Command_Expire{Expire: e}}
}

// A key moves with what is left of its time, whatever the two shards' log times are. What is due and was not read as gone yet is gone
// at the receiver; what was gone at the giver is not there.
func TestTimesToLiveMove(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"the giver is ahead": 0, "the receiver is ahead": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.a.later(time.Hour)
			w.b.later(ahead)
			for _, g := range []*group{w.a, w.b} {
				g.must(raised())
			}
			const minute = uint64(60_000)
			for key, ttl := range map[string]uint64{"gone": 1, "due": 10_000, "later": minute, "never": 0} {
				w.a.must(mortal(key, ttl))
			}
			w.a.later(20 * time.Second)
			w.a.must(expire("gone", "later", "never"))
			if err := w.run(context.Background(), w.importer(), 2); err != nil {
				t.Fatal(err)
			}
			held := w.b.values()
			now := w.b.node().fsm.LogTimeMs()
			if len(held) != 3 || held["never"].Expiry != 0 {
				t.Fatalf("the receiver holds %v", held)
			}
			// Log time goes on by 1 ms an entry here.
			if left := held["later"].Expiry - now; left > 40_000 || left < 39_900 {
				t.Errorf("%d ms are left of 40,000", left)
			}
			if expiry := held["due"].Expiry; expiry > now+1 {
				t.Errorf("what is due has %d ms left", expiry-now)
			}
			w.b.later(time.Millisecond)
			w.b.must(expire("due", "later"))
			if held = w.b.values(); len(held) != 2 {
				t.Errorf("after the expiry the receiver holds %v", held)
			}
			w.sweep()
			w.a.same()
			w.b.same()
		})
	}
}

// What is touched, or expires, while the partitions move is as it was left.
func TestTimesToLiveThatChangeDuringAMove(t *testing.T) {
	w := newWorld(t)
	for _, g := range []*group{w.a, w.b} {
		g.must(raised())
	}
	w.a.must(mortal("gone", 10))
	w.a.must(mortal("touched", 10))
	touch := &command.Write{Kind: &command.Write_Touch{Touch: &command.Touch{Key: []byte("touched")}}}
	w.moment, w.strike = "after B records", func() {
		w.a.later(time.Second)
		w.a.must(&command.Command{Kind: &command.Command_Write{Write: &command.WriteBatch{Writes: []*command.Write{touch}}}})
		w.a.must(expire("gone", "touched"))
	}
	if err := w.run(context.Background(), w.importer(), 2); err != nil {
		t.Fatal(err)
	}
	if held := w.b.values(); len(held) != 1 || held["touched"].Expiry != 0 {
		t.Fatalf("the receiver holds %v", held)
	}
}

// A shard of an older format cannot take a key with a time to live. The giver keeps it, and whoever asked is told what to do.
func TestTimesToLiveNeedTheirFormat(t *testing.T) {
	w := newWorld(t)
	w.a.must(raised())
	w.a.must(mortal("k", 60_000))
	i := w.importer()
	defer i.Close()
	err := w.run(t.Context(), i, 2)
	if err == nil || err.Code != pb.ErrorCode_ERROR_CODE_UNSUPPORTED || !strings.Contains(err.Message, "'kvorum restart --rolling'") {
		t.Fatalf("the move ended with %v", err)
	}
	if w.owner() != w.a || w.b.node().Partitions()[0].State != fsm.Released {
		t.Fatalf("A owns it: %v, B: %v", w.owner() == w.a, w.b.node().Partitions()[0])
	}
	w.sweep()
	w.b.must(raised())
	if err := w.run(t.Context(), i, 3); err != nil {
		t.Fatal(err)
	}
	if held := w.b.values(); len(held) != 1 || held["k"].Expiry == 0 {
		t.Fatalf("the receiver holds %v", held)
	}
}

// A node of a version before has no field for what is left of a time to live, or for a lease: it would take the record without, and nobody
// would ever delete the key. Where there is nothing of that kind it gets all.
func TestWhatEndsByItselfIsNotSentToWhoWouldKeepIt(t *testing.T) {
	w := newWorld(t)
	w.a.must(raised())
	w.fill(3)
	all := []*command.PartitionRange{{First: 0, Last: 1023}}
	export := func(format uint32) error {
		x, refused := w.a.node().fsm.Export(2, all)
		if refused != nil {
			t.Fatal(refused)
		}
		defer x.Close()
		enough := errors.New("the view was sent")
		err := Export(t.Context(), x, format, func(m *nodev1.ExportResponse) error {
			if m.GetCaughtUp() {
				return enough
			}
			return nil
		})
		if errors.Is(err, enough) {
			return nil
		}
		return err
	}
	if err := export(0); err != nil {
		t.Fatal(err)
	}
	w.a.must(mortal("k", 60_000))
	var refused *kverr.Error
	if err := export(0); !errors.As(err, &refused) || refused.Code != pb.ErrorCode_ERROR_CODE_UNSUPPORTED {
		t.Fatalf("the export ended with %v", err)
	}
	if err := export(fsmcommand.Format); err != nil {
		t.Fatal(err)
	}
}
