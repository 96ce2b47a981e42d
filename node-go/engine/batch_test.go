package engine

import (
	"errors"
	"testing"
)

// A batch of very many empty records is bounded too: an engine that lays it out in one piece counts on that.
func TestBatchOfNothingHasASize(t *testing.T) {
	b := NewBatch(1)
	for range 3 {
		b.Delete(nil)
		b.Put(Record{})
	}
	if b.Len() != 6 || b.Bytes() != 6*opBytes {
		t.Fatal(b.Len(), b.Bytes())
	}
}

func TestBatchIsBounded(t *testing.T) {
	value := make([]byte, ValueBytesMax)
	b := NewBatch(1)
	for range BatchBytesMax / ValueBytesMax {
		b.Put(Record{Value: value})
	}
	var limit *LimitError
	if err := b.Check(0); !errors.As(err, &limit) || limit.What != "batch" {
		t.Fatal(err)
	}
	b.Reset(1)
	if err := b.Check(0); err != nil {
		t.Fatal(err)
	}
}
