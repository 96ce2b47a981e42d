package fsm

import (
	"fmt"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Content is what a page says of its keys.
type Content uint8

const (
	// Entries are keys, values and versions.
	Entries Content = iota
	// Keys leaves the values out: no disk is read.
	Keys
	// Count says only how many there are.
	Count
)

// PageQuery asks for keys of some partitions in an interval, in their order.
type PageQuery struct {
	// From is the first key that may be in it, To the one before which it ends; empty is open.
	From, To []byte
	// Reverse begins with the greatest key.
	Reverse    bool
	Content    Content
	Partitions *[command.Partitions]bool
	// Limit and Bytes bound the page, but for its first record. Looks bounds the keys that it may look at, whosever they
	// are, so that no page takes long. All are positive.
	Limit, Bytes, Looks int
}

// Page is what the partitions of a query held at one moment, as far as it goes.
type Page struct {
	// Records have no values unless the query asks for Entries.
	Records []engine.Record
	// Keys counts those of the page.
	Keys uint64
	// Bytes is about what the records hold.
	Bytes int
	// Next is the interval's new From, or, in reverse, its new To, when the page did not get to its end; else nil.
	Next []byte
}

// RecordOverhead is counted for each record of a page beside its key and value: its objects on the way to the wire.
const RecordOverhead = 128

// Page reads a page as of one moment at which the shard owned every partition that is asked for. Its errors are
// NOT_APPLIED, and those of Get.
//
// The view is taken between two looks at the table, as Get reads: whatever it shows was there while this shard owned the
// partitions. What comes later does not change it, and Apply never waits for whoever reads it.
func (f *FSM) Page(q PageQuery) (Page, *kverr.Error) {
	view, refused := f.ownedView(q.Partitions)
	if refused != nil {
		return Page{}, refused
	}
	defer view.Close()
	p := &pager{query: q}
	from, to := userKey(q.From), []byte{spaceUser + 1}
	if len(q.To) > 0 {
		to = userKey(q.To)
	}
	err := view.Walk(from, to, q.Reverse, p.visit)
	if err == nil {
		err = p.failed
	}
	if err != nil {
		return Page{}, readError(err)
	}
	return p.page, nil
}

// ownedView is a view of a moment at which the shard owned all of the partitions.
func (f *FSM) ownedView(partitions *[command.Partitions]bool) (engine.View, *kverr.Error) {
	for {
		before := f.table.Load()
		if before == nil {
			return nil, kverr.NotApplied(
				errpb.ErrorCode_ERROR_CODE_UNAVAILABLE, "shard %d is being restored from a snapshot here", f.options.Shard)
		}
		if refused := f.lacking(before, partitions); refused != nil {
			return nil, refused
		}
		view, err := f.engine.View()
		if err != nil {
			return nil, readError(err)
		}
		if f.table.Load() == before {
			return view, nil
		}
		if err := view.Close(); err != nil {
			return nil, readError(fmt.Errorf("close a view: %w", err))
		}
	}
}

// lacking refuses what is not owned. One that is gone says more than one that comes: with another set of partitions is
// asked again at once.
func (f *FSM) lacking(t *table, partitions *[command.Partitions]bool) *kverr.Error {
	var refused *kverr.Error
	for number, wanted := range partitions {
		state := t.holdings[number].State
		if !wanted || state == Owned || state == Frozen {
			continue
		}
		err := f.elsewhere(uint16(number), state, t.epoch)
		if err.Code == errpb.ErrorCode_ERROR_CODE_WRONG_SHARD {
			return err
		}
		refused = err
	}
	return refused
}

// pager fills a page.
type pager struct {
	query  PageQuery
	page   Page
	looked int
	failed error
	// last is the key that was looked at last, in the engine's form and valid until the next one.
	last []byte
}

// visit looks at one key, and says whether there may be another.
func (p *pager) visit(i engine.Item) bool {
	if p.looked == p.query.Looks {
		p.stop(i.Key())
		return false
	}
	p.looked++
	key := i.Key()[1:]
	wanted := p.query.Partitions[command.Partition(key)]
	if wanted && p.query.Content != Count && !p.fits(i) {
		p.stop(i.Key())
		return false
	}
	if wanted {
		p.failed = p.take(i)
	}
	if p.query.Reverse {
		p.last = append(p.last[:0], i.Key()...)
	}
	return p.failed == nil
}

// weight is what a record of the page holds.
func (p *pager) weight(i engine.Item) int {
	if p.query.Content == Keys {
		return len(i.Key()) + RecordOverhead
	}
	return i.Bytes() + RecordOverhead
}

func (p *pager) fits(i engine.Item) bool {
	count := len(p.page.Records)
	return count == 0 || (count < p.query.Limit && p.page.Bytes+p.weight(i) <= p.query.Bytes)
}

func (p *pager) take(i engine.Item) error {
	p.page.Keys++
	if p.query.Content == Count {
		return nil
	}
	record := engine.Record{}
	var err error
	if p.query.Content == Entries {
		record, err = i.Record()
	} else {
		record.Version, err = i.Version()
	}
	if err != nil {
		return err
	}
	record.Key = append(make([]byte, 0, len(i.Key())-1), i.Key()[1:]...)
	p.page.Records = append(p.page.Records, record)
	p.page.Bytes += p.weight(i)
	return nil
}

// stop notes where the next page begins: with the key that this one did not take, or, in reverse, before the last that it
// has passed.
func (p *pager) stop(here []byte) {
	next := here
	if p.query.Reverse {
		next = p.last
	}
	p.page.Next = append([]byte{}, next[1:]...)
}
