package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// Whatever happened to a key: leaving reads out changes no verdict.
func TestWhatIsLeftOutDecidesNothing(t *testing.T) {
	const histories = 40_000
	verdicts := map[bool]int{}
	left := 0
	for seed := range uint64(histories) {
		known := drawn(rand.New(rand.NewPCG(seed, 0)))
		kept := essential(known)
		left += len(known) - len(kept)
		model := register.ToModel()
		want := porcupine.CheckOperations(model, porcupineOf(known))
		verdicts[want]++
		if got := porcupine.CheckOperations(model, porcupineOf(kept)); got != want {
			for _, op := range known {
				t.Logf("%d to %s: %s (kept: %t)", op.Call, returnOf(op), op.describe(), slices.Contains(kept, op))
			}
			t.Fatalf("seed %d: %t with all, %t with those that are kept", seed, want, got)
		}
	}
	if verdicts[true] < histories/10 || verdicts[false] < histories/10 || left < histories/2 {
		t.Fatalf("too one-sided: %v, %d left out", verdicts, left)
	}
}

func returnOf(op *operation) string {
	if op.Return == nil {
		return "?"
	}
	return fmt.Sprint(*op.Return)
}

// drawn are calls that happened in an order, of which at times some answers, or times, are not true. Some histories
// write a value twice, or one that does not end as values do.
func drawn(random *rand.Rand) []*operation {
	values := [][]string{{"a;", "b;", "c;", "d;"}, {"a;", "b;", "a;", "b;"}, {"a;", "b;", "a;b;"}, {"a", "b", "ab"}}[random.IntN(4)]
	var all []*operation
	key := state{}
	for at := int64(10); len(all) < 10; at += 10 {
		op := &operation{ID: uint64(len(all)), Client: "c", Outcome: succeeded, Call: at - random.Int64N(40)}
		end := at + random.Int64N(40)
		op.Return = &end
		key = happens(op, key, values, random)
		all = append(all, op)
	}
	for range random.IntN(4) {
		spoil(all[random.IntN(len(all))], values, random)
	}
	return all
}

// happens gives what becomes of the key.
func happens(op *operation, key state, values []string, random *rand.Rand) state {
	next := values[int(op.ID)%len(values)]
	if op.ID >= 4 && len(values) == 4 && values[0] != values[2] {
		// Each once.
		next = fmt.Sprintf("%d;", op.ID)
	}
	switch draw := random.IntN(10); {
	case draw < 6:
		op.Op = "get"
		if key.found {
			value := key.value
			op.Got = &value
		}
		if random.IntN(2) == 0 {
			version := key.version
			if !key.found {
				version = 0
			}
			op.Version = &version
		}
		return key
	case draw < 7:
		op.Op = "delete"
		return state{version: key.version}
	case draw < 9:
		op.Op, op.Value = "append", next
		key.value += next
	default:
		op.Op, op.Value = "put", next
		key.value = next
	}
	if random.IntN(5) == 0 {
		op.Outcome, op.Return = unknown, nil
	}
	if !key.found {
		key.version += uint64(random.IntN(2))
	}
	key.found = true
	key.version++
	return key
}

func spoil(op *operation, values []string, random *rand.Rand) {
	switch {
	case op.Op == "get" && random.IntN(2) == 0:
		value := values[random.IntN(len(values))]
		op.Got = &value
	case op.Version != nil:
		*op.Version += uint64(random.IntN(2))
	case op.Return != nil:
		op.Call += random.Int64N(60)
		*op.Return = min(math.MaxInt32, op.Call+random.Int64N(20))
	}
}
