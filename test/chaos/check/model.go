package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
)

// state is one key. Its versions count its writes; a key that comes back after a delete begins anywhere above the
// version that it had, because deletes of its neighbours raise the beginning.
type state struct {
	found bool
	value string
	// version of the value, or of the last one that there was; a lower bound unless exact.
	version uint64
	exact   bool
	// mortal: it may be gone at any later moment, once and for all. When it may is judged elsewhere.
	mortal bool
}

// register is what one key may do. A state may have two successors only where a conditional write has no known end.
var register = porcupine.NondeterministicModel{
	Init: func() []any { return []any{state{}} },
	Step: func(before, input, _ any) []any {
		return stepOrExpire(before.(state), input.(*operation))
	},
	Equal: func(a, b any) bool { return a == b },
	Hash:  func(s any) uint64 { return s.(state).hash() },
	DescribeOperation: func(input, _ any) string {
		return input.(*operation).describe()
	},
	DescribeState: func(s any) string { return s.(state).describe() },
}

// stepOrExpire: a key that lives for a time may have ended before the operation.
func stepOrExpire(s state, op *operation) []any {
	after := step(s, op)
	if s.found && s.mortal {
		after = append(after, step(state{version: s.version}, op)...)
	}
	return after
}

func step(s state, op *operation) []any {
	told := op.Outcome == succeeded
	switch op.Op {
	case "get":
		return s.get(op)
	case "compare-and-set":
		return s.compareAndSet(op)
	case "increment":
		return s.increment(op)
	case "touch":
		return s.touch(op)
	case "append":
		after, possible := s.write(s.value+op.Value, op.Version, told)
		after.mortal = s.mortal
		if !possible || told && op.Length != nil && *op.Length != uint64(len(after.value)) {
			return nil
		}
		return []any{after}
	default:
		if op.IfVersion != nil {
			return s.conditional(op)
		}
		after, possible := s.replace(op)
		if !possible {
			return nil
		}
		return []any{after}
	}
}

// replace is a put or a delete that takes place.
func (s state) replace(op *operation) (state, bool) {
	told := op.Outcome == succeeded
	if told && op.Returned && ((op.Previous != nil) != s.found || s.found && *op.Previous != s.value) {
		return s, false
	}
	if op.Op == "delete" {
		return state{version: s.version}, !told || op.Existed == nil || *op.Existed == s.found
	}
	after, possible := s.write(op.Value, op.Version, told)
	after.mortal = op.TTLMS > 0
	return after, possible
}

func (s state) touch(op *operation) []any {
	if op.Outcome == succeeded && op.Existed != nil && *op.Existed != s.found {
		return nil
	}
	s.mortal = s.found && op.TTLMS > 0
	return []any{s}
}

// compareAndSet knows from the value alone whether it takes place: unlike a version, that is always known here.
func (s state) compareAndSet(op *operation) []any {
	holds := (op.Expected != nil) == s.found && (!s.found || *op.Expected == s.value)
	after, possible := s, true
	switch {
	case op.Outcome == precondition && !holds:
		after, possible = s.observed(op.Version)
	case op.Outcome == precondition || !holds && op.Outcome != unknown:
		return nil
	case holds:
		after, possible = s.write(op.Value, op.Version, op.Outcome == succeeded)
	}
	if !possible {
		return nil
	}
	return []any{after}
}

// increment of what is no number changes nothing, and is not told as a success.
func (s state) increment(op *operation) []any {
	number := int64(0)
	if s.found {
		var err error
		if number, err = strconv.ParseInt(s.value, 10, 64); err != nil && op.Outcome == unknown {
			return []any{s}
		} else if err != nil {
			return nil
		}
	}
	sum := number + op.By
	after, possible := s.write(strconv.FormatInt(sum, 10), op.Version, op.Outcome == succeeded)
	after.mortal = s.mortal
	if !possible || op.Outcome == succeeded && op.Sum != nil && *op.Sum != sum {
		return nil
	}
	return []any{after}
}

// get of which nothing came back says nothing; those are not in the history at all.
func (s state) get(op *operation) []any {
	if (op.Got != nil) != s.found {
		return nil
	}
	if s.found && *op.Got != s.value {
		return nil
	}
	after, possible := s.observed(op.Version)
	if !possible {
		return nil
	}
	return []any{after}
}

// observed narrows the version to what somebody was told; 0 says that the key is absent.
func (s state) observed(told *uint64) (state, bool) {
	switch {
	case told == nil:
		return s, true
	case !s.found:
		return s, *told == 0
	case *told < s.version || s.exact && *told != s.version:
		return s, false
	}
	s.version, s.exact = *told, true
	return s, true
}

func (s state) write(value string, told *uint64, succeeded bool) (state, bool) {
	after := state{found: true, value: value, version: s.version + 1, exact: s.found && s.exact}
	if !succeeded {
		return after, true
	}
	return after.observed(told)
}

func (s state) conditional(op *operation) []any {
	matched, possible := s.observed(op.IfVersion)
	var after []any
	if possible && op.Outcome != precondition {
		if written, fits := matched.replace(op); fits {
			after = append(after, written)
		}
	}
	switch op.Outcome {
	case precondition:
		// Absent is version 0, and what it is must not be what was asked for.
		if op.Version != nil && *op.Version == *op.IfVersion {
			return nil
		}
		seen, possible := s.observed(op.Version)
		if !possible || !seen.differs(*op.IfVersion) {
			return nil
		}
		return []any{seen}
	case unknown:
		if s.differs(*op.IfVersion) {
			after = append(after, s)
		}
	}
	return after
}

// differs tells whether the key may have another version than this one.
func (s state) differs(from uint64) bool {
	if !s.found {
		return from != 0
	}
	return !s.exact || s.version != from
}

func (s state) hash() uint64 {
	const prime = 1099511628211
	sum := uint64(14695981039346656037)
	for i := range len(s.value) {
		sum = (sum ^ uint64(s.value[i])) * prime
	}
	sum = (sum ^ s.version) * prime
	if s.exact {
		sum = (sum ^ 1) * prime
	}
	if s.found {
		sum = (sum ^ 2) * prime
	}
	if s.mortal {
		sum = (sum ^ 3) * prime
	}
	return sum
}

func (s state) describe() string {
	about := ">="
	if s.exact {
		about = "="
	}
	if !s.found {
		return fmt.Sprintf("absent (versions so far <= %d)", s.version)
	}
	life := ""
	if s.mortal {
		life = ", for a time"
	}
	return fmt.Sprintf("%s (version %s %d%s)", shortened(s.value), about, s.version, life)
}

func (o *operation) describe() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s(%s", o.Client, o.Op, shortened(o.Value))
	switch {
	case o.IfVersion != nil:
		fmt.Fprintf(&text, " if %d", *o.IfVersion)
	case o.Op == "increment":
		fmt.Fprintf(&text, "%+d", o.By)
	case o.Expected != nil:
		fmt.Fprintf(&text, " if %s", shortened(*o.Expected))
	}
	if o.TTLMS > 0 {
		fmt.Fprintf(&text, " for %d ms", o.TTLMS)
	}
	text.WriteString(")")
	switch {
	case o.Outcome != succeeded:
		fmt.Fprintf(&text, ": %s", o.Outcome)
	case o.Op == "get" && o.Got == nil:
		text.WriteString(": absent")
	case o.Op == "get":
		fmt.Fprintf(&text, ": %s", shortened(*o.Got))
	case o.Sum != nil:
		fmt.Fprintf(&text, ": %d", *o.Sum)
	case o.Existed != nil:
		fmt.Fprintf(&text, ": existed %t", *o.Existed)
	}
	if o.Version != nil {
		fmt.Fprintf(&text, " v%d", *o.Version)
	}
	return text.String()
}

// shortened keeps the end of a value: that is where the last append shows.
func shortened(value string) string {
	const most = 40
	if len(value) <= most {
		return value
	}
	return fmt.Sprintf("(%d bytes)...%s", len(value), value[len(value)-most:])
}
