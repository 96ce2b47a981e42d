package server

import (
	"testing"

	"kvorum/node/engine"
	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// Page of the fake node gives one record as large as `largest`, or half of what was asked for.
func (n *fakeNode) Page(query fsm.PageQuery) (fsm.Page, *kverr.Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pages = append(n.pages, query)
	if query.Content == fsm.Count {
		return fsm.Page{Keys: 7, Next: []byte("n")}, nil
	}
	bytes := max(query.Bytes/2, n.largest)
	record := engine.Record{Key: []byte("k"), Value: make([]byte, bytes), Version: 3}
	return fsm.Page{Records: []engine.Record{record}, Keys: 1, Bytes: bytes}, nil
}

func pageOf(change func(*kvorumv1.PageRequest)) *kvorumv1.Operation {
	request := &kvorumv1.PageRequest{Partitions: make([]byte, 128), Content: kvorumv1.PageContent_PAGE_CONTENT_ENTRIES}
	change(request)
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Page{Page: request}}
}

func TestAPageIsAskedOfTheReplica(t *testing.T) {
	b := start(t, nil)
	// Writes that find no room are no reason to refuse reads.
	b.node.full = replica.Overloaded("full", 0)
	results := b.ask(t, pageOf(func(p *kvorumv1.PageRequest) {
		p.From, p.To, p.Reverse, p.Limit, p.BytesMax = []byte("a"), []byte("z"), true, 5, 1000
		p.Partitions[1] = 0x81
	}), pageOf(func(p *kvorumv1.PageRequest) {
		p.Content, p.Limit, p.BytesMax = kvorumv1.PageContent_PAGE_CONTENT_COUNT, 1<<31, 1<<31
	}))
	if entries := results[0].GetPage().GetEntries(); len(entries) != 1 || len(entries[0].Value) != 500 || entries[0].Version != 3 {
		t.Errorf("got %v", results[0])
	}
	if page := results[1].GetPage(); page.GetCount() != 7 || string(page.GetNext()) != "n" || len(page.Entries) != 0 {
		t.Errorf("got %v", results[1])
	}
	first, second := b.node.pages[0], b.node.pages[1]
	if string(first.From) != "a" || string(first.To) != "z" || !first.Reverse || first.Limit != 5 || first.Bytes != 1000 || first.Looks != maxPageLooks {
		t.Errorf("asked for %v", first)
	}
	for number, wanted := range first.Partitions {
		if wanted != (number == 8 || number == 15) {
			t.Errorf("partition %d: %t", number, wanted)
		}
	}
	if second.Limit != maxPageEntries || second.Bytes != maxPageBytes {
		t.Errorf("asked for %d entries and %d bytes", second.Limit, second.Bytes)
	}
}

func TestLimitsOfPages(t *testing.T) {
	b := start(t, nil)
	results := b.ask(t,
		pageOf(func(p *kvorumv1.PageRequest) { p.Partitions = p.Partitions[1:] }),
		pageOf(func(p *kvorumv1.PageRequest) { p.Content = 9 }),
		pageOf(func(p *kvorumv1.PageRequest) { p.To = make([]byte, 4098) }),
		pageOf(func(p *kvorumv1.PageRequest) { p.From = make([]byte, 4097) }))
	expectCode(t, results[0], pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	expectCode(t, results[1], pb.ErrorCode_ERROR_CODE_UNSUPPORTED)
	expectCode(t, results[2], pb.ErrorCode_ERROR_CODE_TOO_LARGE)
	if results[3].GetPage() == nil {
		t.Errorf("behind the longest key: %v", results[3])
	}
	b.node.confirm = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "follows")
	expectCode(t, b.ask(t, pageOf(func(*kvorumv1.PageRequest) {}))[0], pb.ErrorCode_ERROR_CODE_NOT_LEADER)
}

// What finds no room is not even read, and the room comes back.
func TestPagesTakeTheirRoomBeforeTheyAreRead(t *testing.T) {
	b := start(t, func(o *Options) { o.Budget = replica.NewBudget(4 * maxPageBytes) })
	before := b.options.Budget.Free()
	full := pageOf(func(*kvorumv1.PageRequest) {})
	results := b.ask(t, full, full, full, full)
	if results[0].GetPage() == nil || results[1].GetPage() == nil {
		t.Errorf("got %v %v", results[0], results[1])
	}
	expectCode(t, results[3], pb.ErrorCode_ERROR_CODE_OVERLOADED)
	if read := len(b.node.pages); read > 2 {
		t.Errorf("%d pages were read", read)
	}
	b.node.largest = 4 * maxPageBytes
	expectCode(t, b.ask(t, full)[0], pb.ErrorCode_ERROR_CODE_OVERLOADED)
	b.server.Stop()
	if free := b.options.Budget.Free(); free != before {
		t.Errorf("%d bytes are free, %d were before", free, before)
	}
}

func TestTheFirstPageOfAMessageIsGivenWhateverItsSize(t *testing.T) {
	b := start(t, nil)
	b.node.largest = 6 << 20
	results := b.ask(t, pageOf(func(*kvorumv1.PageRequest) {}), pageOf(func(*kvorumv1.PageRequest) {}))
	if len(results[0].GetPage().GetEntries()) != 1 {
		t.Errorf("got %v", results[0].GetError())
	}
	expectCode(t, results[1], pb.ErrorCode_ERROR_CODE_OVERLOADED)
}
