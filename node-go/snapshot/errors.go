package snapshot

import "fmt"

// CorruptError says that the snapshots' own files are damaged, or that what they and the log hold does not join. Votes
// and acknowledged entries may be lost with it: the replica must be replaced under another id. (An engine that has lost
// data is *engine.CorruptError instead; a peer can mend that.)
type CorruptError struct {
	Path   string
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("damaged snapshots: %s: %s", e.Path, e.Reason)
}
