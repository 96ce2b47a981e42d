package engine

// Op is one change of a batch.
type Op struct {
	// Delete removes Record.Key; the rest of Record is then empty.
	Delete bool
	Record Record
}

// opBytes is what a change costs beside its key and value, in any engine: it keeps a batch of empty records bounded too.
const opBytes = 64

// Batch gathers the changes of one raft entry. Later changes of a key win. It refers to the slices it is given: they must
// stay as they are until Apply has returned. Not safe for concurrent use.
type Batch struct {
	// Index is the raft index that becomes the applied index, and the Index of each record.
	Index uint64
	ops   []Op
	bytes int64
}

// NewBatch begins an empty batch.
func NewBatch(index uint64) *Batch { return &Batch{Index: index} }

// Put sets a record. Its Index is ignored: it becomes the batch's.
func (b *Batch) Put(r Record) {
	b.ops = append(b.ops, Op{Record: r})
	b.bytes += int64(opBytes + len(r.Key) + len(r.Value))
}

// Delete removes a key; one that is absent is no error.
func (b *Batch) Delete(key []byte) {
	b.ops = append(b.ops, Op{Delete: true, Record: Record{Key: key}})
	b.bytes += int64(opBytes + len(key))
}

// Len is the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes is the size of all keys and values, and something for each change.
func (b *Batch) Bytes() int64 { return b.bytes }

// Ops are the changes in their order, for engines. The slice is the batch's own.
func (b *Batch) Ops() []Op { return b.ops }

// Reset empties the batch for another index and keeps its memory.
func (b *Batch) Reset(index uint64) {
	clear(b.ops)
	b.Index, b.ops, b.bytes = index, b.ops[:0], 0
}

// Check is the part of Apply's contract that all engines share: nothing may be changed when it fails.
func (b *Batch) Check(applied uint64) error {
	if b.Index <= applied {
		return &OrderError{Index: b.Index, Applied: applied}
	}
	for i := range b.ops {
		if err := b.ops[i].Record.Check(); err != nil {
			return err
		}
	}
	if b.bytes > BatchBytesMax {
		return &LimitError{What: "batch", Bytes: b.bytes, Max: BatchBytesMax}
	}
	return nil
}

// Check holds a record against the limits of the formats.
func (r Record) Check() error {
	if len(r.Key) > KeyBytesMax {
		return &LimitError{What: "key", Bytes: int64(len(r.Key)), Max: KeyBytesMax}
	}
	if len(r.Value) > ValueBytesMax {
		return &LimitError{What: "value", Bytes: int64(len(r.Value)), Max: ValueBytesMax}
	}
	return nil
}
