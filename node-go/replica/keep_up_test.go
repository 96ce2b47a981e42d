package replica

import (
	"testing"
	"time"

	pb "kvorum/node/gen/errors"
)

// A voter with a stuck disk answers heartbeats. Without the other one nothing could be committed any more, the removal included.
func TestTheVotersThatAreLeftMustKeepUp(t *testing.T) {
	disks := []*heldDisk{newHeldDisk(), newHeldDisk(), newHeldDisk()}
	short := steady
	short.Heartbeat, short.Lease = time.Second, time.Second
	c := startSome(t, 3, 3, short, func(i int, o *Options) { o.FS = disks[i] })
	leader := c.leader()
	var stuck *heldDisk
	for i, n := range c.nodes {
		if n != leader {
			stuck = disks[i]
		}
	}
	// Before the cluster is closed, which waits for the disks.
	defer stuck.release()
	well, late := c.others(leader)[0], c.others(leader)[1]
	leader.mustPut("k", "1")
	late.catchUp(leader)
	stuck.hold()
	leader.mustPut("k", "2")
	_, err := leader.remove(well, 0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	leader.mustPut("k", "3")
	stuck.release()
	late.catchUp(leader)
	mustChange(t)(leader.remove(well, 0))
	leader.mustGet("k", "3")
}
