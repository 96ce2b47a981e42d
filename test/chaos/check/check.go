package main

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

type verdict string

const (
	linearizable verdict = "ok"
	violated     verdict = "violation"
	undecided    verdict = "not decided"
)

// finding is what is known of one key.
type finding struct {
	Key        string  `json:"key"`
	Operations int     `json:"operations"`
	Unknown    int     `json:"unknown"`
	Verdict    verdict `json:"verdict"`
	MS         int64   `json:"ms"`
	// Picture is the file that shows a violation.
	Picture string `json:"picture,omitempty"`
}

type report struct {
	Seed  uint64    `json:"seed"`
	Round int       `json:"round"`
	Keys  []finding `json:"keys"`
}

type options struct {
	// perKey bounds the search for one key.
	perKey time.Duration
	// pictures is where a violation is drawn.
	pictures string
}

// check decides each key by itself: linearizability is local.
func check(h *history, o options) (*report, error) {
	found := &report{Seed: h.header.Seed, Round: h.header.Round, Keys: []finding{}}
	for _, key := range h.keys {
		one, err := checkKey(h, key, o)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		found.Keys = append(found.Keys, one)
	}
	return found, nil
}

func checkKey(h *history, key string, o options) (finding, error) {
	known := relevant(h.operations[key])
	found := finding{Key: key, Operations: len(known)}
	for _, op := range known {
		if op.Outcome == unknown {
			found.Unknown++
		}
	}
	model := modelOf(known)
	begin := time.Now()
	result, info := porcupine.CheckOperationsVerbose(model, porcupineOf(essential(known)), o.perKey)
	found.MS = time.Since(begin).Milliseconds()
	switch result {
	case porcupine.Ok:
		found.Verdict = linearizable
	case porcupine.Unknown:
		found.Verdict = undecided
	case porcupine.Illegal:
		found.Verdict = violated
		found.Picture = filepath.Join(o.pictures, fileName(key)+".html")
		info.AddAnnotations(annotations(h.faults))
		if err := porcupine.VisualizePath(model, info, found.Picture); err != nil {
			return found, fmt.Errorf("draw the violation: %w", err)
		}
	}
	return found, nil
}

// relevant leaves out what has not happened: writes that say so themselves, and reads without an answer. A read with a bound
// of staleness has no place in the order of calls: it may be of a moment before its own.
func relevant(all []operation) []*operation {
	var kept []*operation
	for i := range all {
		op := &all[i]
		if op.Outcome == notApplied || op.StaleMS > 0 || (op.Op == "get" || op.Op == "balances") && op.Outcome != succeeded {
			continue
		}
		kept = append(kept, op)
	}
	return kept
}

// porcupineOf gives every operation a lane of its own time: one whose end is unknown keeps its lane for ever, while its
// client goes on.
func porcupineOf(known []*operation) []porcupine.Operation {
	sorted := slices.Clone(known)
	slices.SortStableFunc(sorted, func(a, b *operation) int { return cmp.Compare(a.Call, b.Call) })
	var lanes []int64
	made := make([]porcupine.Operation, 0, len(sorted))
	for _, op := range sorted {
		end := int64(math.MaxInt64)
		if op.Outcome != unknown {
			end = *op.Return
		}
		lane := slices.IndexFunc(lanes, func(free int64) bool { return free < op.Call })
		if lane < 0 {
			lane, lanes = len(lanes), append(lanes, 0)
		}
		lanes[lane] = end
		made = append(made, porcupine.Operation{ClientId: lane, Input: op, Call: op.Call, Return: end})
	}
	return made
}

func annotations(faults []operation) []porcupine.Annotation {
	drawn := make([]porcupine.Annotation, 0, len(faults))
	for _, fault := range faults {
		end := fault.Call
		if fault.Return != nil {
			end = *fault.Return
		}
		drawn = append(drawn, porcupine.Annotation{
			Tag: "faults", Start: fault.Call, End: end, Description: fault.Fault,
		})
	}
	return drawn
}

func fileName(key string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, key)
}
