package replica

import (
	"kvorum/node/fsm"
	"kvorum/node/kverr"
)

// Page reads keys of some partitions as they are here at one moment. After Confirm it is linearizable, as Get is.
func (r *Replica) Page(query fsm.PageQuery) (fsm.Page, *kverr.Error) { return r.fsm.Page(query) }
