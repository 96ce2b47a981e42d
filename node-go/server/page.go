package server

import (
	"context"

	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

const (
	// maxPageBytes bounds a page but for its first entry. A page is read in one go: a larger one would keep the gets
	// behind it waiting, and buys nothing.
	maxPageBytes = 256 << 10
	// maxPageEntries holds where keys are short and values are left out.
	maxPageEntries = 4096
	// maxPageLooks bounds the keys that a page looks at, 2 ms or so: a shard may hold keys of partitions that are not asked for.
	maxPageLooks = 16 << 10
	// maxPages of one message are read, one after the other; a lane sends fewer.
	maxPages        = 16
	partitionsBytes = fsmcommand.Partitions / 8
)

// checkPage says why a page cannot be read at all; nil when it can.
func (l Limits) checkPage(request *kvorumv1.PageRequest) *kverr.Error {
	if len(request.Partitions) != partitionsBytes {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
			"a page names its partitions in %d bytes, not in %d", partitionsBytes, len(request.Partitions))
	}
	if contentOf(request.Content) < 0 {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNSUPPORTED, "this node does not know the content %d of a page: upgrade it", request.Content)
	}
	// What begins behind a key of the greatest length has a byte more.
	if longest := max(len(request.From), len(request.To)); longest > l.MaxKeyBytes+1 {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_TOO_LARGE, "a bound of a page has %d bytes, the limit is %d", longest, l.MaxKeyBytes+1)
	}
	return nil
}

// contentOf is -1 for what this node does not know.
func contentOf(content kvorumv1.PageContent) int {
	switch content {
	case kvorumv1.PageContent_PAGE_CONTENT_ENTRIES:
		return int(fsm.Entries)
	case kvorumv1.PageContent_PAGE_CONTENT_KEYS:
		return int(fsm.Keys)
	case kvorumv1.PageContent_PAGE_CONTENT_COUNT:
		return int(fsm.Count)
	default:
		return -1
	}
}

func queryOf(request *kvorumv1.PageRequest) fsm.PageQuery {
	query := fsm.PageQuery{
		From: request.From, To: request.To, Reverse: request.Reverse, Content: fsm.Content(contentOf(request.Content)),
		Partitions: new([fsmcommand.Partitions]bool),
		Limit:      within(request.Limit, maxPageEntries), Bytes: within(request.BytesMax, maxPageBytes), Looks: maxPageLooks,
	}
	for number := range query.Partitions {
		query.Partitions[number] = request.Partitions[number/8]>>(number%8)&1 == 1
	}
	return query
}

// within is what was asked for, but no more than there may be; 0 asks for that.
func within(asked uint32, most int) int {
	if asked == 0 || asked > uint32(most) {
		return most
	}
	return int(asked)
}

// page answers pages after one confirmation for all. Each takes the room that it may need before it is read: what is read
// and then refused would be work for nothing, at a time when there is too much of it.
func (b *batch) page(ctx context.Context, target Replica, positions []int) {
	if err := target.Confirm(ctx, b.deadline); err != nil {
		b.fail(positions, err)
		return
	}
	for n, i := range positions {
		if n >= maxPages {
			b.results[i] = b.options.failed(replica.Overloaded("a message has too many pages: ask for less at once", 0))
		} else if err := ctx.Err(); err != nil {
			b.results[i] = b.options.failed(kverr.NotApplied(pb.ErrorCode_ERROR_CODE_CANCELLED, "nobody waits for the page any more"))
		} else {
			b.results[i] = b.pageOne(target, queryOf(b.operations[i].GetPage()))
		}
	}
}

func (b *batch) pageOne(target Replica, query fsm.PageQuery) *kvorumv1.Result {
	room := query.Bytes
	if query.Content == fsm.Count {
		room = operationOverhead
	}
	if refused := b.take(room); refused != nil {
		return b.options.failed(refused)
	}
	page, err := target.Page(query)
	if err != nil {
		return b.options.failed(err)
	}
	// Only a first entry is larger than what was asked for.
	if more := page.Bytes - room; more > 0 {
		if refused := b.take(more); refused != nil {
			return b.options.failed(refused)
		}
	}
	b.gets++
	return &kvorumv1.Result{Kind: &kvorumv1.Result_Page{Page: toPage(page, query)}}
}

// take makes room in the answer and in the byte budget, or says why there is none.
func (b *batch) take(bytes int) *kverr.Error {
	switch {
	case b.gets > 0 && b.bytes+bytes > b.options.Limits.MaxMessageBytes-answerSlack:
		return replica.Overloaded("the answer to this message is full: ask for less at once", 0)
	case !b.hold.Grow(int64(bytes)):
		b.full()
		return replica.Overloaded("the node holds as many bytes as it may", 0)
	}
	b.bytes += bytes
	return nil
}

func toPage(page fsm.Page, query fsm.PageQuery) *kvorumv1.PageResponse {
	response := &kvorumv1.PageResponse{Next: page.Next, Entries: make([]*kvorumv1.Entry, len(page.Records))}
	if query.Content == fsm.Count {
		response.Count = page.Keys
	}
	entries := make([]kvorumv1.Entry, len(page.Records))
	for i, record := range page.Records {
		entry := &entries[i]
		entry.Key, entry.Value, entry.Version = record.Key, record.Value, record.Version
		response.Entries[i] = entry
	}
	return response
}
