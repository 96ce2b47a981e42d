package move

import (
	"bytes"
	"context"

	"kvorum/node/engine"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// Export sends what an export holds: the records of its view, then, round by round, what has changed since, until the partitions
// are frozen and everything has been sent. It sends an empty message first: the export has begun. `format` is the newest one that the
// receiver knows. One that knows no keys that end by themselves would keep them for ever: then it fails with a *kverr.Error.
func Export(ctx context.Context, x *fsm.Export, format uint32, send func(*nodev1.ExportResponse) error) error {
	p := &packer{send: send, left: x.Left, lease: x.Lease, format: format}
	if err := p.flush(); err != nil {
		return err
	}
	if err := p.view(ctx, x); err != nil {
		return err
	}
	if err := p.mark(); err != nil {
		return err
	}
	// The first round is there even if nothing has changed: only then is it known how long one takes.
	for wait := false; ; wait = true {
		keys, frozen, err := x.Changed(ctx, wait)
		if err != nil {
			return err
		}
		if err := p.changes(x, keys); err != nil {
			return err
		}
		if frozen == nil {
			if err := p.mark(); err != nil {
				return err
			}
			continue
		}
		// What was read is what was there at the freeze, unless a thaw has let others write meanwhile.
		if err := x.Err(); err != nil {
			return err
		}
		if err := p.leases(x); err != nil {
			return err
		}
		return p.complete(frozen)
	}
}

// packer gathers records into messages of at most entryBytes, or one record.
type packer struct {
	send    func(*nodev1.ExportResponse) error
	left    func(engine.Record) uint64
	lease   func(key []byte) ([]byte, error)
	format  uint32
	pending nodev1.ExportResponse
	bytes   int
	// ahead are keys that were sent as they are by now before the view came to them.
	ahead keySet
}

// view sends what was there when the export began. So much may change meanwhile that what an export keeps of it is full: then
// that is sent at once, and where the view comes to such a key later its record is old, and what is there by then is sent.
func (p *packer) view(ctx context.Context, x *fsm.Export) error {
	var failed error
	err := x.Records(func(r engine.Record) bool {
		if p.ahead.mayHave(r.Key) {
			failed = p.current(x, string(r.Key))
		} else {
			failed = p.record(r)
		}
		if failed == nil && x.Crowded() {
			failed = p.drain(ctx, x)
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// drain has messages of its own. In one message a key is put first and removed then, whatever came first: a key that is there
// again must not be in the message that says that it was removed.
func (p *packer) drain(ctx context.Context, x *fsm.Export) error {
	if err := p.flushPending(); err != nil {
		return err
	}
	keys, _, err := x.Changed(ctx, false)
	if err != nil {
		return err
	}
	for key := range keys {
		p.ahead.add(key)
	}
	if err := p.changes(x, keys); err != nil {
		return err
	}
	return p.flushPending()
}

func (p *packer) changes(x *fsm.Export, keys map[string]struct{}) error {
	for key := range keys {
		if err := p.current(x, key); err != nil {
			return err
		}
	}
	return nil
}

// current sends a key as it is by now. That may be later than the change that was noted; a still later one is noted again.
func (p *packer) current(x *fsm.Export, key string) error {
	r, found, err := x.Get(key)
	switch {
	case err != nil:
		return err
	case found:
		return p.record(r)
	default:
		return p.removed(key)
	}
}

func (p *packer) record(r engine.Record) error {
	lease, err := p.lease(r.Key)
	if err != nil {
		return err
	}
	if err := p.room(len(r.Key) + len(r.Value) + len(lease)); err != nil {
		return err
	}
	left := p.left(r)
	if left > 0 || len(lease) > 0 {
		if err := p.expectMortals(); err != nil {
			return err
		}
	}
	p.pending.Records = append(p.pending.Records, &nodev1.ExportedRecord{
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Version: r.Version, TtlMs: left, Lease: lease,
	})
	return nil
}

func (p *packer) expectMortals() error {
	if p.format >= fsmcommand.FormatOfTTL {
		return nil
	}
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNSUPPORTED,
		"the node that takes the partitions over is of a version that knows neither times to live nor leases: cancel the operation, and "+
			"'kvorum upgrade' or 'kvorum restart --rolling' gives all nodes the new one")
}

func (p *packer) removed(key string) error {
	if err := p.room(len(key)); err != nil {
		return err
	}
	p.pending.Removed = append(p.pending.Removed, []byte(key))
	return nil
}

// room sends what is pending if so many bytes more would be too much for one message.
func (p *packer) room(n int) error {
	if p.bytes > 0 && p.bytes+n+recordBytes > entryBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.bytes += n + recordBytes
	return nil
}

func (p *packer) mark() error {
	p.pending.CaughtUp = true
	return p.flush()
}

// leases are sent when nothing of them changes any more: all of them, and not what has changed. Each is small, and there are not many.
func (p *packer) leases(x *fsm.Export) error {
	for _, l := range x.Leases() {
		if err := p.expectMortals(); err != nil {
			return err
		}
		if err := p.room(len(l.ID) + len(l.Live) + len(l.Ended)); err != nil {
			return err
		}
		p.pending.Leases = append(p.pending.Leases, &nodev1.ExportedLease{
			Lease: bytes.Clone(l.ID[:]), TtlMs: l.TTLMs, LeftMs: x.LeftOf(l), Partitions: l.Live, Ended: l.Ended,
		})
	}
	return nil
}

func (p *packer) complete(floors []fsm.Floor) error {
	for _, f := range floors {
		p.pending.Complete = append(p.pending.Complete, &nodev1.ExportedPartition{Partition: uint32(f.Partition), Floor: f.Version})
	}
	return p.flush()
}

func (p *packer) flushPending() error {
	if p.bytes == 0 {
		return nil
	}
	return p.flush()
}

// flush sends a message of its own: gRPC may still refer to the last one's.
func (p *packer) flush() error {
	m := &nodev1.ExportResponse{
		Records: p.pending.Records, Removed: p.pending.Removed, CaughtUp: p.pending.CaughtUp, Complete: p.pending.Complete,
		Leases: p.pending.Leases,
	}
	p.pending.Reset()
	p.bytes = 0
	return p.send(m)
}
