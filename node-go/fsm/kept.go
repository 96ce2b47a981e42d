package fsm

import (
	"slices"

	pb "kvorum/node/gen/command"
)

// resultKept is counted for each result of a transaction whose answer is kept, beside a value in it: what it is in memory. A row
// holds less.
const resultKept = 96

// kept is what it takes to keep a result, beside what each takes.
func (r *Result) kept() int {
	sum := r.Previous.bytes()
	if r.Transaction != nil {
		for i := range r.Transaction.Results {
			sum += resultKept + r.Transaction.Results[i].Previous.bytes()
		}
	}
	return sum
}

// keptAtMost is what the result of a write may take, known before it is carried out.
func keptAtMost(write *pb.Write) int {
	if returnsPrevious(write) {
		return PreviousBytesMax
	}
	t := write.GetTransaction()
	if t == nil {
		return 0
	}
	most := resultKept * max(len(t.GetThen()), len(t.GetOtherwise()))
	isGet := func(op *pb.TransactionOperation) bool { return op.GetGet() != nil }
	if slices.ContainsFunc(t.GetThen(), isGet) || slices.ContainsFunc(t.GetOtherwise(), isGet) {
		most += PreviousBytesMax
	}
	return most
}

func (p *Previous) bytes() int {
	if p == nil {
		return 0
	}
	return len(p.Value)
}
