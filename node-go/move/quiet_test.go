package move

import (
	"context"
	"io"
	"testing"
	"time"

	"kvorum/node/clock"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// slowGiver sends the first half of a round, and nothing for some time.
type slowGiver struct {
	messages []*nodev1.ExportResponse
	frozen   chan struct{}
	early    bool
}

func (g *slowGiver) Step(_ context.Context, m *nodev1.MoveRequest) *kverr.Error {
	if m.GetStep() == nodev1.MoveStep_MOVE_STEP_FREEZE {
		close(g.frozen)
	}
	return nil
}

func (g *slowGiver) Export(context.Context, *nodev1.ExportRequest) (Stream, *kverr.Error) {
	return g, nil
}

func (g *slowGiver) Close() {}

func (g *slowGiver) Recv() (*nodev1.ExportResponse, error) {
	if len(g.messages) > 0 {
		m := g.messages[0]
		g.messages = g.messages[1:]
		return m, nil
	}
	timer := clock.Real().NewTimer(6 * roundTime)
	defer timer.Stop()
	select {
	case <-g.frozen:
		g.early = true
	case <-timer.C():
	}
	return nil, io.EOF
}

// What is quiet between two rounds is caught up; what is quiet in the middle of one is slow.
func TestASlowRoundIsNotFrozen(t *testing.T) {
	record := []*nodev1.ExportedRecord{{Key: []byte("k"), Value: []byte("v"), Version: 1}}
	caughtUp := &nodev1.ExportResponse{CaughtUp: true}
	for name, c := range map[string]struct {
		messages []*nodev1.ExportResponse
		frozen   bool
	}{
		"the middle": {[]*nodev1.ExportResponse{{}, caughtUp, {Records: record}}, false},
		"the end":    {[]*nodev1.ExportResponse{{}, caughtUp}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := &slowGiver{messages: c.messages, frozen: make(chan struct{})}
			i := w.importer()
			i.Connect = func(*nodev1.ImportRequest) Giver { return g }
			defer i.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := w.run(ctx, i, 2); err == nil {
				t.Fatal("a move has got to its end without everything")
			}
			if g.early != c.frozen {
				t.Fatalf("frozen: %v", g.early)
			}
		})
	}
}
