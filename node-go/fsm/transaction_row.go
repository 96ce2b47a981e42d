package fsm

import "encoding/binary"

// encode appends the results of a transaction to its answer's row (session_rows.go).
func (t *TransactionResult) encode(to []byte) []byte {
	if t == nil {
		return to
	}
	for i := range t.Results {
		kind, version, length := t.Results[i].numbers()
		for _, number := range [...]uint64{kind, version, length} {
			to = binary.AppendUvarint(to, number)
		}
		to = t.Results[i].Previous.encode(to)
	}
	return to
}

// decodeTransaction returns what a transaction came to, and what follows it; nil if that is none.
func decodeTransaction(from []byte, succeeded, count uint64) (*TransactionResult, []byte) {
	if succeeded > 1 || count > TransactionOperationsMax {
		return nil, nil
	}
	t := &TransactionResult{Succeeded: succeeded == 1, Results: make([]Result, count)}
	for i := range t.Results {
		var numbers [3]uint64
		if from = uvarints(from, numbers[:]); from == nil {
			return nil, nil
		}
		ok := false
		if t.Results[i], ok = decodeResult(Kind(numbers[0]&^withPrevious), numbers[1], numbers[2]); !ok {
			return nil, nil
		}
		if numbers[0]&withPrevious == 0 {
			continue
		}
		if t.Results[i].Previous, from = decodePrevious(from); t.Results[i].Previous == nil {
			return nil, nil
		}
	}
	return t, from
}

func decodeResult(kind Kind, version, length uint64) (Result, bool) {
	r := Result{Kind: kind}
	switch kind {
	case KindPut, KindAppend:
		r.Version, r.Length = version, length
	case KindDelete:
		r.Existed = version == 1
	case KindIncrement:
		r.Version, r.Value = version, unzigzag(length)
	case KindGet:
		if length > 0 {
			left := length - 1
			r.Left = &left
		}
	default:
		return Result{}, false
	}
	return r, true
}
