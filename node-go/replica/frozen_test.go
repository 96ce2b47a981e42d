package replica

import (
	"context"
	"testing"
	"time"

	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

func TestWritesToFrozenPartitionsCostNoEntry(t *testing.T) {
	refuse := func(write *command.Write, logTimeMs uint64) *kverr.Error {
		if string(write.GetPut().GetKey()) != "frozen" || logTimeMs >= 100 {
			return nil
		}
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_MOVING, "frozen")
	}
	sessions := []*command.Session{{Id: []byte("0123456789abcdef")}}
	for _, c := range []struct {
		name     string
		now      uint64
		keys     []string
		proposed int
	}{
		{"none of them is", 1, []string{"a", "b"}, 2},
		{"some are", 1, []string{"frozen", "a", "frozen", "b"}, 2},
		{"all are: nothing is proposed", 1, []string{"frozen", "frozen"}, 0},
		{"the freeze would end with this entry", 100, []string{"frozen", "a"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var proposed []*command.Write
			frozen := frozenSeams{
				refuse: refuse, logTime: func() uint64 { return c.now },
				write: func(_ context.Context, batch *command.WriteBatch, _ time.Time, _ *Hold) []fsm.Result {
					if len(batch.Sessions) != len(sessions) {
						t.Fatalf("%d sessions, the writes name them by their positions", len(batch.Sessions))
					}
					proposed = batch.Writes
					results := make([]fsm.Result, len(batch.Writes))
					for i, write := range batch.Writes {
						results[i].Version = uint64(len(write.GetPut().GetKey()))
					}
					return results
				},
			}
			batch := &command.WriteBatch{Sessions: sessions}
			for _, key := range c.keys {
				batch.Writes = append(batch.Writes, put(key, ""))
			}
			results := frozen.answer(context.Background(), batch, time.Time{}, nil)
			if len(proposed) != c.proposed {
				t.Fatalf("%d writes were proposed, want %d", len(proposed), c.proposed)
			}
			for i, key := range c.keys {
				if refused := key == "frozen" && c.now < 100; refused {
					expectError(t, results[i], pb.ErrorCode_ERROR_CODE_MOVING, notApplied)
				} else if results[i].Version != uint64(len(key)) {
					t.Fatalf("write %d: got %+v, which is not its own result", i, results[i])
				}
			}
		})
	}
}
