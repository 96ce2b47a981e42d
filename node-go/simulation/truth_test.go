package simulation

import (
	"fmt"
	"strings"

	"kvorum/node/engine"
	"kvorum/node/fsm"
)

const (
	// tokenBytes is the length of a token: a value is a run of whole ones.
	tokenBytes = 8
	registers  = 4
	lists      = 3
)

// truth knows every operation of a round, and what its client was told. It knows nothing of sessions, numbers or logs:
// only what a promise means.
type truth struct {
	round int
	clock int
	ops   []*op
	// byToken are the operations by what they write.
	byToken map[string]*op
	// versions are the values that were seen, by key and version.
	versions map[string]map[uint64]string
}

func newTruth() *truth {
	t := &truth{}
	t.nextRound()
	return t
}

// nextRound forgets the operations: the keys of each round are its own.
func (t *truth) nextRound() {
	t.round++
	t.ops, t.byToken, t.versions = nil, map[string]*op{}, map[string]map[uint64]string{}
}

func (t *truth) register(i int) string { return fmt.Sprintf("register-%d-%d", t.round, i) }
func (t *truth) list(i int) string     { return fmt.Sprintf("list-%d-%d", t.round, i) }

func (t *truth) anyKey(w *world) string {
	keys := t.keys()
	return keys[w.random.IntN(len(keys))]
}

// keys are those of this round.
func (t *truth) keys() []string {
	var keys []string
	for i := range registers {
		keys = append(keys, t.register(i))
	}
	for i := range lists {
		keys = append(keys, t.list(i))
	}
	return keys
}

// draw begins an operation.
func (t *truth) draw(w *world) *op {
	t.clock++
	o := &op{begun: t.clock, token: fmt.Sprintf("%07d;", len(t.ops))}
	switch n := w.random.IntN(10); {
	case n < 5:
		o.kind, o.key = kindAppend, t.list(w.random.IntN(lists))
	case n < 9:
		o.kind, o.key = kindPut, t.register(w.random.IntN(registers))
	default:
		o.kind, o.key = kindDelete, t.register(w.random.IntN(registers))
	}
	t.ops = append(t.ops, o)
	t.byToken[o.token] = o
	return o
}

// end notes what a client was told. A deposed round's operations tell nothing any more.
func (t *truth) end(w *world, o *op, how outcome) {
	t.clock++
	o.outcome, o.ended = how, t.clock
	w.happened[[...]string{"pending", "applied", "not applied", "unknown"}[how]]++
	if how == applied && o.kind == kindPut {
		t.sawVersion(w, o.key, o.version, o.token)
	}
}

// seen is a value that a read has found on some replica.
func (t *truth) seen(w *world, record engine.Record) {
	for token := range tokens(record.Value) {
		if o := t.byToken[token]; o == nil || o.outcome == notApplied {
			w.fail("%s holds %s, which was not applied: %v", record.Key, token, o)
		}
	}
	t.sawVersion(w, string(record.Key), record.Version, string(record.Value))
}

// replaced is what a write was told that it has replaced: as good as a read.
func (t *truth) replaced(w *world, o *op, previous *fsm.Previous) {
	if previous == nil || t.byToken[o.token] != o {
		return
	}
	w.happened["previous"]++
	t.seen(w, engine.Record{Key: []byte(o.key), Value: previous.Value, Version: previous.Version})
}

// sawVersion: a version is one value's, for ever.
func (t *truth) sawVersion(w *world, key string, version uint64, value string) {
	if t.versions[key] == nil {
		t.versions[key] = map[uint64]string{}
	}
	if before, known := t.versions[key][version]; known && before != value {
		w.fail("version %d of %s is %q and %q", version, key, before, value)
	}
	t.versions[key][version] = value
}

// isNow is what a linearizable read has found: nothing that was acknowledged is missing.
func (t *truth) isNow(w *world, key string, record engine.Record, found bool) {
	if found {
		t.seen(w, record)
	}
	for _, o := range t.opsOn(key) {
		switch {
		case o.outcome != applied:
		case o.kind == kindAppend && uint64(len(record.Value)) < o.length:
			w.fail("%s was acknowledged at %d, and a read finds %d bytes", o, o.length, len(record.Value))
		case o.kind == kindPut && found && record.Version < o.version:
			w.fail("%s was acknowledged at version %d, and a read finds version %d", o, o.version, record.Version)
		}
	}
}

func tokens(value []byte) map[string]int {
	counts := map[string]int{}
	for ; len(value) >= tokenBytes; value = value[tokenBytes:] {
		counts[string(value[:tokenBytes])]++
	}
	return counts
}

// check compares what was told with what is there, when everything is applied.
func (t *truth) check(w *world) {
	for i := range lists {
		t.checkList(w, t.list(i))
	}
	for i := range registers {
		t.checkRegister(w, t.register(i))
	}
}

// checkList: each append that was acknowledged is there once, where its answer said; one that was not applied is not
// there; nothing is there twice; and one that began after another had been acknowledged comes after it.
func (t *truth) checkList(w *world, key string) {
	record, _ := w.get(key)
	value := string(record.Value)
	for token, n := range tokens(record.Value) {
		if o := t.byToken[token]; n != 1 || o == nil || o.key != key || o.outcome == notApplied {
			w.fail("%s holds %s %d times: %v", key, token, n, o)
		}
	}
	for _, o := range t.opsOn(key) {
		if o.outcome != applied {
			continue
		}
		if int(o.length) > len(value) || !strings.HasSuffix(value[:o.length], o.token) {
			w.fail("%s was acknowledged at %d, and is not there: %.200s", o, o.length, value)
		}
	}
	t.checkOrder(w, key, func(o *op) uint64 { return o.length })
}

// checkRegister: what is there is the write with the greatest version, and versions follow real time.
func (t *truth) checkRegister(w *world, key string) {
	record, found := w.get(key)
	greatest := uint64(0)
	for _, o := range t.opsOn(key) {
		if o.outcome == applied && o.kind == kindPut {
			greatest = max(greatest, o.version)
		}
	}
	if found {
		t.seen(w, record)
		if record.Version < greatest {
			w.fail("%s is at version %d, but %d was acknowledged", key, record.Version, greatest)
		}
	}
	t.checkOrder(w, key, func(o *op) uint64 {
		if o.kind != kindPut {
			return 0
		}
		return o.version
	})
}

// checkOrder: places (0: none) of acknowledged operations differ, and follow real time.
func (t *truth) checkOrder(w *world, key string, place func(*op) uint64) {
	taken := map[uint64]*op{}
	all := t.opsOn(key)
	for i, first := range all {
		if first.outcome != applied || place(first) == 0 {
			continue
		}
		if other := taken[place(first)]; other != nil {
			w.fail("%s and %s have the same place %d", first, other, place(first))
		}
		taken[place(first)] = first
		for _, second := range all[i+1:] {
			if second.outcome == applied && place(second) != 0 && second.begun > first.ended && place(second) < place(first) {
				w.fail("%s had ended before %s began, and is placed after it: %d, %d", first, second, place(first), place(second))
			}
		}
	}
}

// opsOn are the operations on a key, in the order in which they began.
func (t *truth) opsOn(key string) []*op {
	var on []*op
	for _, o := range t.ops {
		if o.key == key {
			on = append(on, o)
		}
	}
	return on
}
