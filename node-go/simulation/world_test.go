package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

const (
	replicasCount = 3
	clientsCount  = 4
	// entryWrites is how many writes share an entry at most.
	entryWrites = 6
	traceKept   = 60
)

// world is everything that there is.
type world struct {
	t      *testing.T
	random *rand.Rand
	seed   uint64

	// log are the committed entries after base, by rising index, with gaps as no-ops leave them.
	log    []*raft.Log
	base   uint64
	last   uint64
	term   uint64
	timeMs uint64
	epoch  uint64

	replicas []*replica
	// leader answers, for what it applies first.
	leader *replica
	// asked are the requests in the entries that the leader has not applied yet.
	asked   map[uint64][]request
	clients []*client
	// requests and answers are on their way.
	requests []request
	answers  []answer
	truth    *truth

	// trace are the last steps, for whoever must understand a failure.
	trace []string
	// happened counts what was done, so that a test sees that it tests something.
	happened map[string]int
}

// request is one copy of a write, on its way to the leader.
type request struct {
	client *client
	op     *op
	floor  uint64
}

type answer struct {
	request request
	result  fsm.Result
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), seed: seed, term: 1,
		asked: map[uint64][]request{}, truth: newTruth(), happened: map[string]int{},
	}
	for i := range replicasCount {
		w.replicas = append(w.replicas, newReplica(w, i))
	}
	for i := range clientsCount {
		w.clients = append(w.clients, &client{world: w, id: i})
	}
	w.leader = w.replicas[0]
	w.assign(0, command.Partitions-1)
	return w
}

// note counts a step and keeps it for the trace.
func (w *world) note(what, format string, args ...any) {
	w.happened[what]++
	if len(w.trace) == traceKept {
		w.trace = w.trace[1:]
	}
	w.trace = append(w.trace, what+": "+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, step := range w.trace {
		w.t.Log(step)
	}
	w.t.Fatalf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.fail("%v", err)
	}
}

// chance is true once in n.
func (w *world) chance(n int) bool { return w.random.IntN(n) == 0 }

// step does one thing.
func (w *world) step() {
	switch n := w.random.IntN(1000); {
	case n < 250:
		w.anyClient().act()
	case n < 400:
		w.commit()
	case n < 550:
		w.leader.applyNext()
	case n < 700:
		w.anyReplica().applyNext()
	case n < 900:
		w.deliverAnswer()
	case n < 960:
		w.anyReplica().read()
	case n < 970:
		w.loseMessage()
	case n < 980:
		w.anyReplica().sync()
	case n < 984:
		w.anyReplica().merge()
	case n < 988:
		w.compact()
	case n < 993:
		w.anyReplica().crash()
	case n < 996:
		w.changeLeader()
	case n < 998:
		w.passTime()
	case n < 999:
		w.reassign()
	default:
		w.anyReplica().installFrom(w.anyReplica())
	}
}

func (w *world) anyClient() *client   { return w.clients[w.random.IntN(len(w.clients))] }
func (w *world) anyReplica() *replica { return w.replicas[w.random.IntN(len(w.replicas))] }

// take removes any one of a list: the network keeps no order.
func take[T any](w *world, list *[]T) (T, bool) {
	n := len(*list)
	if n == 0 {
		var none T
		return none, false
	}
	i := w.random.IntN(n)
	taken := (*list)[i]
	(*list)[i] = (*list)[n-1]
	*list = (*list)[:n-1]
	return taken, true
}

// commit makes an entry of some requests.
func (w *world) commit() {
	batch, asked := &pb.WriteBatch{}, []request(nil)
	numbers := map[fsm.SessionID]uint32{}
	for range 1 + w.random.IntN(entryWrites) {
		r, any := take(w, &w.requests)
		if !any {
			break
		}
		write := r.op.write()
		if r.op.sequence > 0 {
			number := numbers[r.op.session]
			if number == 0 {
				batch.Sessions = append(batch.Sessions, &pb.Session{Id: r.op.session[:], Floor: r.floor})
				number = uint32(len(batch.Sessions))
				numbers[r.op.session] = number
			}
			said := batch.Sessions[number-1]
			said.Floor = max(said.Floor, r.floor)
			write.Session, write.Sequence = number, r.op.sequence
		}
		batch.Writes = append(batch.Writes, write)
		asked = append(asked, r)
	}
	if len(asked) == 0 {
		return
	}
	index := w.append(&pb.Command{Kind: &pb.Command_Write{Write: batch}})
	w.asked[index] = asked
	w.note("commit", "entry %d with %d writes", index, len(asked))
}

func (w *world) append(c *pb.Command) uint64 {
	w.timeMs += uint64(w.random.IntN(3))
	c.StampMs = w.timeMs
	data, err := command.Encode(c)
	w.must(err)
	w.last++
	if w.chance(8) {
		w.last++
	}
	w.log = append(w.log, &raft.Log{Index: w.last, Term: w.term, Type: raft.LogCommand, Data: data})
	return w.last
}

func (w *world) assign(first, last uint32) {
	w.epoch++
	w.append(&pb.Command{Kind: &pb.Command_Assign{Assign: &pb.AssignPartitions{
		Epoch: w.epoch, Owned: []*pb.PartitionRange{{First: first, Last: last}},
	}}})
}

// reassign takes half of the partitions away, and gives all of them back with one of the next entries.
func (w *world) reassign() {
	w.note("assign", "epoch %d", w.epoch+1)
	w.assign(0, command.Partitions/2)
	if w.chance(2) {
		w.commit()
	}
	w.assign(0, command.Partitions-1)
}

func (w *world) deliverAnswer() {
	if a, any := take(w, &w.answers); any {
		a.request.client.answered(a.request, a.result)
	}
}

func (w *world) loseMessage() {
	if w.chance(2) {
		if r, any := take(w, &w.requests); any {
			w.note("lost request", "%s", r.op)
		}
	} else if a, any := take(w, &w.answers); any {
		w.note("lost answer", "%s", a.request.op)
	}
}

// changeLeader makes another replica answer. What the old one was asked is never answered.
func (w *world) changeLeader() {
	w.leader = w.anyReplica()
	w.term++
	clear(w.asked)
	w.note("leader", "replica %d, term %d", w.leader.id, w.term)
}

// passTime lets sessions expire: in log time, with the next entry.
func (w *world) passTime() {
	w.timeMs += uint64(w.random.IntN(2 * sessionExpiryMs))
	w.note("time", "%d ms", w.timeMs)
}

// compact drops the beginning of the log, as far as some replica has made it durable.
func (w *world) compact() {
	r := w.anyReplica()
	w.base = max(w.base, r.engine.Synced())
	for len(w.log) > 0 && w.log[0].Index <= w.base {
		w.log = w.log[1:]
	}
	w.note("compact", "up to %d", w.base)
}
