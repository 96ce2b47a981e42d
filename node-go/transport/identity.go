package transport

import (
	"errors"
	"fmt"
)

// Identity says who this node is. Both ends of a connection tell it, and refuse a stranger.
type Identity struct {
	ClusterID string
	Shard     uint32
	NodeID    string
	// Address is where peers reach this node: host:port.
	Address string
}

// The bounds of a hello's fields, in bytes.
const (
	maxIDBytes      = 64
	maxAddressBytes = 255
)

// validate reports every fault at once.
func (i Identity) validate() error {
	var faults []error
	fault := func(name, value string, limit int) {
		if value == "" || len(value) > limit {
			faults = append(faults, fmt.Errorf("identity: %s is %d bytes long, must be 1-%d", name, len(value), limit))
		}
	}
	fault("cluster id", i.ClusterID, maxIDBytes)
	fault("node id", i.NodeID, maxIDBytes)
	fault("address", i.Address, maxAddressBytes)
	return errors.Join(faults...)
}
