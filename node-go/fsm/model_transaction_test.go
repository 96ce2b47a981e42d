package fsm

import (
	"maps"

	"pgregory.net/rapid"

	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// transact is the plainest transaction: all that there is is put back if an operation fails.
func (m *model) transact(t *pb.Transaction) Result {
	result := Result{Kind: KindTransaction}
	fail := func(code errpb.ErrorCode) Result {
		result.Err = kverr.NotApplied(code, "")
		return result
	}
	partitions := map[uint16]bool{}
	for key := range command.Keys(t) {
		partitions[command.Partition(key)] = true
	}
	switch {
	case len(partitions) == 0:
		return fail(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	case len(partitions) > 1:
		return fail(crossShard)
	case !m.owned[command.Partition(command.FirstKey(t))]:
		return fail(errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
	}
	branch, offset, answer := t.Then, 0, &TransactionResult{Succeeded: true, Results: []Result{}}
	for _, c := range t.Conditions {
		answer.Succeeded = answer.Succeeded && m.holds(c)
	}
	if !answer.Succeeded {
		branch, offset = t.Otherwise, len(t.Then)
	}
	keys, floors, last, repeated := maps.Clone(m.keys), maps.Clone(m.floors), maps.Clone(m.last), m.repeated
	for i, op := range branch {
		one := m.step(op)
		if one.Err != nil {
			m.keys, m.floors, m.last, m.repeated = keys, floors, last, repeated
			result.Err = one.Err
			// What the transaction itself had made of it is undone.
			if one.Err.Version > 0 {
				result.Err.Version = m.keys[string(command.KeyOf(op))].version
			}
			result.Err.Operation = uint32(offset + i + 1)
			return result
		}
		answer.Results = append(answer.Results, one)
	}
	result.Transaction = answer
	return result
}

func (m *model) holds(c *pb.Condition) bool {
	now, exists := m.keys[string(c.Key)]
	switch operand := c.Operand.(type) {
	case *pb.Condition_Value:
		return (exists && now.value == string(operand.Value)) == (c.Comparison == equal)
	case *pb.Condition_Exists:
		return (exists == operand.Exists) == (c.Comparison == equal)
	}
	want := c.GetVersion()
	return map[pb.Condition_Comparison]bool{
		equal: now.version == want, notEqual: now.version != want, less: now.version < want, greater: now.version > want,
	}[c.Comparison]
}

func (m *model) step(op *pb.TransactionOperation) Result {
	switch kind := op.Kind.(type) {
	case *pb.TransactionOperation_Put:
		return m.write(&pb.Write{Kind: &pb.Write_Put{Put: kind.Put}})
	case *pb.TransactionOperation_Delete:
		return m.write(&pb.Write{Kind: &pb.Write_Delete{Delete: kind.Delete}})
	case *pb.TransactionOperation_Append:
		return m.write(&pb.Write{Kind: &pb.Write_Append{Append: kind.Append}})
	case *pb.TransactionOperation_Increment:
		return m.write(&pb.Write{Kind: &pb.Write_Increment{Increment: kind.Increment}})
	}
	result := Result{Kind: KindGet}
	if now, exists := m.keys[string(op.GetGet().Key)]; exists {
		result.Previous = &Previous{now.version, []byte(now.value)}
	}
	return result
}

// drawTransaction is mostly on keys of one partition.
func drawTransaction(t *rapid.T) *pb.Write {
	keys := modelKeys[:3]
	if rapid.IntRange(0, 9).Draw(t, "across") == 0 {
		keys = modelKeys
	}
	drawKey := func(t *rapid.T) string { return rapid.SampledFrom(keys).Draw(t, "key") }
	operation := func(t *rapid.T) *pb.TransactionOperation {
		if rapid.IntRange(0, 3).Draw(t, "get") == 0 {
			return get(drawKey(t))
		}
		return step(drawWriteOf(t, drawKey(t), false, []int{0, 1, 3, 7}))
	}
	condition := func(t *rapid.T) *pb.Condition {
		key, comparison := drawKey(t), rapid.SampledFrom([]pb.Condition_Comparison{equal, notEqual}).Draw(t, "comparison")
		switch rapid.IntRange(0, 2).Draw(t, "operand") {
		case 0:
			return ifExists(key, comparison, rapid.Bool().Draw(t, "exists"))
		case 1:
			return ifValue(key, comparison, rapid.SampledFrom(modelValues).Draw(t, "value"))
		}
		return ifVersion(key, pb.Condition_Comparison(rapid.IntRange(1, 4).Draw(t, "order")), rapid.Uint64Range(0, 6).Draw(t, "version"))
	}
	return transact(rapid.SliceOfN(rapid.Custom(condition), 0, 2).Draw(t, "conditions"),
		rapid.SliceOfN(rapid.Custom(operation), 0, 4).Draw(t, "then"), rapid.SliceOfN(rapid.Custom(operation), 0, 4).Draw(t, "else"))
}
