package transport

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var trio = []raft.ServerID{"a", "b", "c"}

func TestAcksCountWhatWasSentAfter(t *testing.T) {
	t0 := time.Unix(1000, 0)
	before, after := t0.Add(-time.Nanosecond), t0.Add(time.Nanosecond)
	type ack struct {
		peer raft.ServerID
		term uint64
		sent time.Time
	}
	for _, test := range []struct {
		name   string
		acks   []ack
		term   uint64
		voters []raft.ServerID
		want   bool
	}{
		{"nobody", nil, 5, trio, false},
		{"one of two others", []ack{{"b", 5, after}}, 5, trio, true},
		{"sent before", []ack{{"b", 5, before}}, 5, trio, false},
		{"sent at that moment", []ack{{"b", 5, t0}}, 5, trio, false},
		{"an older one is acknowledged later", []ack{{"b", 5, after}, {"b", 5, before}}, 5, trio, true},
		{"of an earlier term", []ack{{"b", 4, after}}, 5, trio, false},
		{"of a later term", []ack{{"b", 6, after}}, 5, trio, false},
		{"an earlier term's comes late", []ack{{"b", 5, after}, {"c", 4, after}}, 5, trio, true},
		{"an earlier term's does not count for this one", []ack{{"b", 5, before}, {"c", 4, after}}, 5, trio, false},
		{"a new term forgets", []ack{{"b", 5, after}, {"c", 6, after}}, 5, trio, false},
		{"of somebody without a vote", []ack{{"d", 5, after}}, 5, trio, false},
		{"two of five", []ack{{"b", 5, after}}, 5, []raft.ServerID{"a", "b", "c", "d", "e"}, false},
		{"three of five", []ack{{"b", 5, after}, {"e", 5, after}}, 5, []raft.ServerID{"a", "b", "c", "d", "e"}, true},
		{"two of four", []ack{{"b", 5, after}}, 5, []raft.ServerID{"a", "b", "c", "d"}, false},
		{"the only voter", nil, 5, []raft.ServerID{"a"}, true},
		{"not a voter itself", []ack{{"b", 5, after}}, 5, []raft.ServerID{"b", "c"}, false},
		{"no voters", nil, 5, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAcks()
			for _, ack := range test.acks {
				a.record(ack.peer, ack.term, ack.sent)
			}
			if got := a.since(test.term, t0, test.voters, "a"); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAcksWakeWhoeverWaits(t *testing.T) {
	a := newAcks()
	first, second := a.changed(), a.changed()
	select {
	case <-first:
		t.Fatal("woken without an acknowledgement")
	default:
	}
	a.record("b", 1, time.Unix(1, 0))
	<-first
	<-second
	third := a.changed()
	select {
	case <-third:
		t.Error("an acknowledgement of the past wakes")
	default:
	}
}

// Nothing that another term answered, or failed, or was sent before counts.
func TestTransportRecordsAcknowledgements(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	reply := make(chan raft.AppendEntriesResponse, 1)
	b.serve(t, func(call raft.RPC) {
		r := <-reply
		if r.Term == 0 {
			call.Respond(&r, errRefused)
			return
		}
		call.Respond(&r, nil)
	})
	for _, test := range []struct {
		name  string
		reply raft.AppendEntriesResponse
		want  bool
	}{
		{"another term", raft.AppendEntriesResponse{Term: 6, Success: true}, false},
		{"an error", raft.AppendEntriesResponse{}, false},
		{"the term, but not the entries", raft.AppendEntriesResponse{Term: 5}, true},
		{"success", raft.AppendEntriesResponse{Term: 5, Success: true}, true},
	} {
		since := a.clock.Now()
		woken := a.Acks()
		reply <- test.reply
		// Raft uses its response again: what an earlier answer left there is no acknowledgement.
		response := raft.AppendEntriesResponse{Term: 5, Success: true}
		err := a.AppendEntries("b", "b", &raft.AppendEntriesRequest{Term: 5}, &response)
		if got := a.AckedSince(5, since, trio, "a"); got != test.want {
			t.Errorf("%s: acked = %v (error %v)", test.name, got, err)
		}
		if test.want {
			<-woken
		}
		if a.AckedSince(5, a.clock.Now(), trio, "a") {
			t.Errorf("%s: it counts for what begins after it", test.name)
		}
	}
}

// An answer without a term is no acknowledgement, whatever was in Raft's response before.
func TestAnEmptyAnswerIsNoAcknowledgement(t *testing.T) {
	a, b := startNode(t, "a"), listen(t)
	a.book.Set("b", b.Addr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := b.Raft().Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if readMagic(conn) != nil {
			return
		}
		if _, err := readBody(conn); err != nil {
			return
		}
		conn.Write(answer{from: Identity{ClusterID: "c", Shard: 1, NodeID: "b"}}.encode())
		conn.Read(make([]byte, 4096))
		// In MessagePack: no error, and a response without fields.
		conn.Write([]byte{0xa0, 0x80})
	}()
	since := a.clock.Now()
	response := raft.AppendEntriesResponse{Term: 5, Success: true}
	if err := a.AppendEntries("b", "b", &raft.AppendEntriesRequest{Term: 5}, &response); err != nil {
		t.Fatal(err)
	}
	if response.Success || a.AckedSince(5, since, trio, "a") {
		t.Error("it counts")
	}
	await(t, "the peer", done)
}

// The time that counts is before the write, not the answer's: a follower may have voted in between.
func TestTransportTakesTheTimeBeforeSending(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	var during time.Time
	b.serve(t, func(call raft.RPC) {
		during = a.clock.Now()
		inTerm(5)(call)
	})
	before := a.clock.Now()
	if err := a.heartbeat("b", 5); err != nil {
		t.Fatal(err)
	}
	if !a.AckedSince(5, before, trio, "a") || a.AckedSince(5, during, trio, "a") {
		t.Error("the acknowledgement does not carry the time of sending")
	}
}

func BenchmarkAcks(b *testing.B) {
	a := newAcks()
	sent := time.Unix(1000, 0)
	for b.Loop() {
		sent = sent.Add(1)
		a.record("b", 5, sent)
		a.since(5, sent, trio, "a")
	}
}
