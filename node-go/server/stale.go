package server

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// staleRead answers gets with a bound of staleness, from whatever replica this is. `arrived` is before anything is looked at
// and after every caller has begun: counted from there, a bound is at most as wide as the caller's own.
//
// The loosest bound comes first: what has a proof already is not refused with what has none, and when one bound cannot be
// proven, no tighter one can.
func (b *batch) staleRead(ctx context.Context, target Replica, positions []int, arrived time.Time) {
	slices.SortStableFunc(positions, func(i, j int) int { return cmp.Compare(b.staleMs(j), b.staleMs(i)) })
	for len(positions) > 0 {
		bound := b.staleMs(positions[0])
		same := slices.IndexFunc(positions, func(i int) bool { return b.staleMs(i) != bound })
		if same < 0 {
			same = len(positions)
		}
		if err := target.Fresh(ctx, arrived, time.Duration(bound)*time.Millisecond, b.deadline); err != nil {
			b.fail(positions, err)
			return
		}
		b.get(target, positions[:same])
		positions = positions[same:]
	}
}

func (b *batch) staleMs(position int) uint32 { return b.operations[position].GetGet().GetStaleMs() }
