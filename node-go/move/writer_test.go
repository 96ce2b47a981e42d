package move

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kvorum/node/clock"
	"kvorum/node/engine"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
)

// tokenBytes is the length of what an append adds.
const tokenBytes = 8

// writer is a client with a session at each shard. It appends to lists of its own, and puts and deletes a register, one after
// another, and knows what must be there. Its rules are those of every client: a number is for the shard that it was first
// sent to; it is given up only when that shard has said that it never will be applied there.
type writer struct {
	world *world
	id    int
	keys  []string
	// at is the shard that the writer takes for the owner.
	at       *group
	sessions map[*group]fsm.SessionID
	numbers  map[*group]uint64

	lists    map[string]string
	register string
	version  uint64
	value    string
	writes   int
}

func newWriter(w *world, id int) *writer {
	one := &writer{
		world: w, id: id, at: w.a, sessions: map[*group]fsm.SessionID{}, numbers: map[*group]uint64{},
		lists: map[string]string{}, register: fmt.Sprintf("register-%d", id),
	}
	for i := range 8 {
		one.keys = append(one.keys, fmt.Sprintf("list-%d-%d", id, i))
	}
	return one
}

// run writes until ctx ends, with a rest after each write.
func (w *writer) run(ctx context.Context, rest time.Duration) {
	for ctx.Err() == nil {
		w.step()
		_ = clock.Wait(ctx, clock.Real(), rest)
	}
}

func (w *writer) step() {
	w.writes++
	switch w.writes % 8 {
	case 0:
		w.remove()
	case 1, 2:
		w.put()
	default:
		w.append(w.keys[w.writes%len(w.keys)])
	}
}

func (w *writer) append(key string) {
	token := fmt.Sprintf("%02d%05d;", w.id, w.writes)
	r := w.write(&command.Write{Kind: &command.Write_Append{Append: &command.Append{Key: []byte(key), Value: []byte(token), Limit: 1 << 20}}})
	w.lists[key] += token
	if r.Length != uint64(len(w.lists[key])) {
		w.fail("%s has %d bytes after %s, should have %d", key, r.Length, token, len(w.lists[key]))
	}
}

func (w *writer) put() {
	w.value = fmt.Sprintf("value-%d", w.writes)
	r := w.write(&command.Write{Kind: &command.Write_Put{Put: &command.Put{Key: []byte(w.register), Value: []byte(w.value)}}})
	if r.Version <= w.version {
		w.fail("%s has version %d, after %d", w.register, r.Version, w.version)
	}
	w.version = r.Version
}

func (w *writer) remove() {
	existed := w.value != ""
	r := w.write(&command.Write{Kind: &command.Write_Delete{Delete: &command.Delete{Key: []byte(w.register)}}})
	if r.Existed != existed {
		w.fail("the delete of %s found it: %v", w.register, r.Existed)
	}
	w.value = ""
}

// write returns the result of a write that was applied. Every copy is sent twice, as a network may.
func (w *writer) write(write *command.Write) fsm.Result {
	for {
		at := w.at
		w.numbers[at]++
		write.Session, write.Sequence = 1, w.numbers[at]
		for {
			w.send(at, write)
			r := w.send(at, write)
			if r.Err == nil {
				return r
			}
			if r.Err.Code == pb.ErrorCode_ERROR_CODE_WRONG_SHARD {
				break
			}
			if r.Err.Code != pb.ErrorCode_ERROR_CODE_MOVING {
				w.fail("%v", r.Err)
			}
			at.awaitMoved(partitionOf(write))
		}
		w.at = w.world.other(at)
	}
}

func partitionOf(write *command.Write) uint16 {
	switch kind := write.Kind.(type) {
	case *command.Write_Put:
		return fsmcommand.Partition(kind.Put.Key)
	case *command.Write_Delete:
		return fsmcommand.Partition(kind.Delete.Key)
	default:
		return fsmcommand.Partition(write.GetAppend().GetKey())
	}
}

// awaitMoved spares the log what would be answered MOVING again.
func (g *group) awaitMoved(number uint16) {
	for {
		n := g.node()
		changed := n.Changed()
		if state := n.Partitions()[number].State; state != fsm.Frozen && state != fsm.Importing && state != fsm.Imported {
			return
		}
		<-changed
	}
}

func (w *world) other(g *group) *group {
	if g == w.a {
		return w.b
	}
	return w.a
}

func (w *writer) send(at *group, write *command.Write) fsm.Result {
	session, open := w.sessions[at]
	if !open {
		opening := &command.Write{Kind: &command.Write_Open{Open: &command.OpenSession{Nonce: uint64(w.id), ExpiryMs: 3_600_000}}}
		session = w.commit(at, &command.WriteBatch{Writes: []*command.Write{opening}}).Session
		w.sessions[at] = session
	}
	return w.commit(at, &command.WriteBatch{
		Writes: []*command.Write{write}, Sessions: []*command.Session{{Id: session[:], Floor: w.numbers[at]}},
	})
}

func (w *writer) commit(at *group, batch *command.WriteBatch) fsm.Result {
	for {
		if applied := at.commit(at.node().term, &command.Command{Kind: &command.Command_Write{Write: batch}}); applied != nil {
			return applied.Results[0]
		}
	}
}

func (w *writer) fail(format string, args ...any) {
	panic(fmt.Sprintf("writer %d: ", w.id) + fmt.Sprintf(format, args...))
}

// check compares what is served, by whoever owns it, with what was acknowledged.
func (w *writer) check(values map[string]engine.Record) {
	t := w.world.t
	t.Helper()
	for _, key := range w.keys {
		if got := string(values[key].Value); got != w.lists[key] {
			t.Errorf("%s holds %d tokens, of which %d are right; %d were acknowledged",
				key, len(got)/tokenBytes, commonPrefix(got, w.lists[key])/tokenBytes, len(w.lists[key])/tokenBytes)
		}
	}
	if got, found := values[w.register]; string(got.Value) != w.value || found != (w.value != "") {
		t.Errorf("%s is %q, should be %q", w.register, got.Value, w.value)
	} else if found && got.Version != w.version {
		t.Errorf("%s has version %d, should have %d", w.register, got.Version, w.version)
	}
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// writing runs writers until stop is called, which then checks what is there.
func (w *world) writing(n int) (stop func()) { return w.writingAtEase(n, 0) }

// writingAtEase is the same with writers that rest: every node applies what they write, again and again.
func (w *world) writingAtEase(n int, rest time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var writers []*writer
	for id := range n {
		one := newWriter(w, id)
		writers = append(writers, one)
		running.Go(func() { one.run(ctx, rest) })
	}
	return func() {
		w.t.Helper()
		cancel()
		running.Wait()
		values := w.a.values()
		for key, r := range w.b.values() {
			if _, both := values[key]; both {
				w.t.Errorf("both shards serve %s", key)
			}
			values[key] = r
		}
		writes := 0
		for _, one := range writers {
			one.check(values)
			writes += one.writes
		}
		if writes == 0 {
			w.t.Error("nothing was written")
		}
	}
}
