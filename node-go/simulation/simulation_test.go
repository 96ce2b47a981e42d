package simulation

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run only this seed")
	stepsFlag = flag.Int("steps", stepsDefault, "how many steps to take, over all seeds")
)

const (
	stepsOfRound = 2_000
	roundsOfSeed = 25
	stepsOfSeed  = stepsOfRound * roundsOfSeed
)

// Seeds that are always run; the rest of the steps take a new one.
var fixedSeeds = []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}

func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		t.Logf("%v", run(t, *seedFlag))
		return
	}
	steps := *stepsFlag
	happened := map[string]int{}
	for i := range steps / stepsOfSeed {
		seed := rand.Uint64()
		if i < len(fixedSeeds) {
			seed = fixedSeeds[i]
		}
		for what, n := range run(t, seed) {
			happened[what] += n
		}
	}
	t.Logf("%d steps: %v", steps, happened)
	requireAll(t, happened)
	// Some 45 in a hundred do (half, until leases were among what a move sends), and chance takes less than three standard deviations.
	if moves := float64(happened["move"]); float64(happened["moved"]) < 0.45*moves-1.5*math.Sqrt(moves) {
		t.Errorf("%d of %d moves have got to their end", happened["moved"], happened["move"])
	}
}

// run is one world, from its beginning to its end. It returns how often what happened.
func run(t *testing.T, seed uint64) map[string]int {
	t.Helper()
	w := newWorld(t, seed)
	for range roundsOfSeed {
		for range stepsOfRound {
			w.step()
		}
		w.settle()
	}
	for _, s := range w.shards {
		for _, r := range s.replicas {
			w.mover.lost(r)
			r.fsm.Close()
			w.must(r.engine.Close())
		}
	}
	return w.happened
}

// settle ends a round: whatever is committed is applied everywhere, and what everybody was told is compared with it.
func (w *world) settle() {
	for _, c := range w.clients {
		for len(c.open) > 0 {
			c.end(c.open[0], unknown)
		}
	}
	w.answers = nil
	w.mover.settle()
	for _, s := range w.shards {
		s.settle()
	}
	w.truth.check(w)
	w.forget()
	w.truth.nextRound()
}

// forget deletes the keys of the round, so that a world does not grow.
func (w *world) forget() {
	for _, key := range w.truth.keys() {
		s := w.ownerOf(key)
		s.requests = append(s.requests, request{op: &op{kind: kindDelete, key: key}})
	}
	for _, s := range w.shards {
		for len(s.requests) > 0 {
			s.commit()
		}
		clear(s.asked)
	}
}

// requireAll fails when less was tested than is said.
func requireAll(t *testing.T, happened map[string]int) {
	t.Helper()
	for _, what := range []string{
		"apply", "skip", "applied", "not applied", "unknown", "given up", "expired", "wrong shard", "session", "lost request", "lost answer",
		"killed", "power cut idle", "power cut while applying", "power cut while merging", "power cut while restoring",
		"install", "broken snapshot", "merge", "compact", "leader", "read",
		"move", "moved", "move broken", "thawed", "went forward", "swept", "moving", "late step", "read now", "replaced", "upgrade", "not raised", "raised",
		"mortal", "expired key", "leased", "ended lease",
	} {
		if happened[what] == 0 {
			t.Errorf("it never happened: %s", what)
		}
	}
}
