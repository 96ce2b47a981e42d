package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

const (
	shardsCount   = 2
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

	shards  [shardsCount]*shard
	mover   *mover
	clients []*client
	// answers are on their way.
	answers []answer
	truth   *truth
	mortals mortals
	leased  leased

	// trace are the last steps, for whoever must understand a failure.
	trace []string
	// steps are those that were taken: they say whether it is calm.
	steps int
	// happened counts what was done, so that a test sees that it tests something.
	happened map[string]int
}

// request is one copy of a write, or of a step of a move, on its way to a leader.
type request struct {
	client *client
	op     *op
	floor  uint64
	// step has an entry of its own; told hears what became of it.
	step *pb.Command
	told func(*fsm.Applied)
}

type answer struct {
	request request
	applied *fsm.Applied
	// at is the write's place in its entry.
	at int
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), seed: seed, truth: newTruth(), mortals: newMortals(), leased: newLeased(), happened: map[string]int{},
	}
	w.mover = &mover{world: w, epoch: 1}
	for i := range w.shards {
		w.shards[i] = newShard(w, i)
	}
	for i := range clientsCount {
		w.clients = append(w.clients, &client{world: w, id: i})
	}
	w.shards[0].assign(&pb.PartitionRange{First: 0, Last: command.Partitions - 1})
	w.shards[1].assign()
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

// Five stretches are calm, the sixth is a storm. In a storm a move hardly ever gets to its end, and without one it is hardly
// ever broken.
const stretchOfSteps = 300

func (w *world) isCalm() bool { return w.steps/stretchOfSteps%6 < 5 }

// step does one thing.
func (w *world) step() {
	w.steps++
	if !w.isCalm() && w.chance(stormOnceIn) {
		w.strike()
		return
	}
	switch n := w.random.IntN(1_023); {
	case n < 228:
		w.anyClient().act()
	case n < 368:
		w.anyShard().commit()
	case n < 518:
		w.anyShard().leader.applyNext()
	case n < 648:
		w.anyReplica().applyNext()
	case n < 838:
		w.deliverAnswer()
	case n < 853:
		w.anyReplica().read()
	case n < 868:
		w.readNow()
	case n < 938:
		w.mover.act()
	case n < 962:
		w.anyShard().sweep()
	case n < 968:
		w.loseMessage()
	case n < 978:
		w.anyReplica().sync()
	case n < 982:
		w.anyReplica().merge()
	case n < 986:
		w.anyShard().compact()
	case n < 987:
		w.anyShard().replace()
	case n < 988:
		w.anyShard().raise()
	case n < 1_011:
		w.anyShard().writeMortal()
		w.anyShard().writeLeased()
	default:
		w.anyShard().expire()
	}
}

// stormOnceIn is how many steps of a storm lie between what breaks a move.
const stormOnceIn = 12

// strike ends a process, a leadership, a session or a freeze.
func (w *world) strike() {
	switch n := w.random.IntN(16); {
	case n < 5:
		w.anyReplica().crash()
	case n < 9:
		w.anyShard().changeLeader()
	case n < 11:
		w.anyShard().passTime()
	case n < 14:
		s := w.anyShard()
		s.anyReplica().installFrom(s.anyReplica())
	default:
		w.anyReplica().mergeHalf()
	}
}

func (w *world) anyClient() *client   { return w.clients[w.random.IntN(len(w.clients))] }
func (w *world) anyShard() *shard     { return w.shards[w.random.IntN(len(w.shards))] }
func (w *world) anyReplica() *replica { return w.anyShard().anyReplica() }

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

func (w *world) deliverAnswer() {
	a, any := take(w, &w.answers)
	switch {
	case !any:
	case a.request.told != nil:
		a.request.told(a.applied)
	default:
		a.request.client.answered(a.request, a.applied.Results[a.at])
	}
}

func (w *world) loseMessage() {
	if w.chance(2) {
		if r, any := take(w, &w.anyShard().requests); any {
			w.note("lost request", "%v", r.op)
		}
	} else if a, any := take(w, &w.answers); any {
		w.note("lost answer", "%v", a.request.op)
	}
}

// readNow is a linearizable read of whoever serves the key at this moment.
func (w *world) readNow() {
	key := w.truth.anyKey(w)
	for _, s := range w.shards {
		if record, found, err := s.committed.Get([]byte(key)); err == nil {
			w.truth.isNow(w, key, record, found)
			w.happened["read now"]++
		}
	}
}

// ownerOf is the shard that owns a key, when everything is settled.
func (w *world) ownerOf(key string) *shard {
	var owner *shard
	for _, s := range w.shards {
		if s.committed.Partitions()[command.Partition([]byte(key))].State != fsm.Owned {
			continue
		}
		if owner != nil {
			w.fail("two shards own %s", key)
		}
		owner = s
	}
	if owner == nil {
		w.fail("nobody owns %s", key)
	}
	return owner
}

// get reads a key where it is owned.
func (w *world) get(key string) (engine.Record, bool) {
	record, found, err := w.ownerOf(key).replicas[0].fsm.Get([]byte(key))
	if err != nil {
		w.fail("get %s: %v", key, err)
	}
	return record, found
}
